"""The pace holds for any requests, on a clock that only waiting moves."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.remote.pacing import Pace

_TICK = 1e-7  # no clock stands still: a wait may be shorter than floats can tell


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time goes on when everybody waits, at once to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        self._now += _TICK
        return self._now

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready  # type: ignore[attr-defined]
        if scheduled and not ready:
            self._now = max(self._now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


def turns(pace: Pace, tokens: list[float]) -> list[float]:
    """When each turn came, in the order in which they were asked for."""

    async def one(amount: float) -> float:
        await pace.turn(amount)
        return asyncio.get_running_loop().time()

    async def all_of_them() -> list[float]:
        return await asyncio.gather(*map(one, tokens))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(all_of_them())


@given(st.integers(1, 60), st.floats(0.5, 6000))
def test_no_more_requests_than_a_second_s_worth_and_the_rate(count, per_minute):
    times = turns(Pace(per_minute, None), [1.0] * count)
    burst = max(1.0, per_minute / 60)
    for index, moment in enumerate(times):
        assert index + 1 <= burst + moment * per_minute / 60 + 1e-6
    assert times[-1] <= max(0.0, count - burst) * 60 / per_minute + 1e-2


@given(st.lists(st.floats(0, 500), min_size=1, max_size=30), st.floats(60, 60_000))
def test_no_more_tokens_than_a_second_s_worth_and_the_rate_and_nobody_is_overtaken(tokens, per_minute):
    times = turns(Pace(None, per_minute), tokens)
    assert times == sorted(times)
    gone = 0.0
    for amount, moment in zip(tokens, times, strict=True):
        gone += amount
        assert gone <= max(1.0, per_minute / 60) + moment * per_minute / 60 + 1e-4


@pytest.mark.parametrize(("counted", "expected"), [(100, 10.0), (700, 20.0), (40, 9.0)])
def test_a_wrong_estimate_is_made_up_for(counted, expected):
    async def two() -> float:
        pace = Pace(None, 3600)  # 60 a second
        await pace.turn(100)
        pace.correct(100, counted)
        await pace.turn(560)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(two()) == pytest.approx(expected, abs=1e-3)


def test_without_limits_nobody_waits():
    assert max(turns(Pace(None, None), [1e9] * 100)) < 1e-3
