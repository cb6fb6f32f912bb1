"""How fast a server may be asked: requests and tokens per minute, for every try.

Owns the two buckets. Each holds one second's worth (at least one request), so that a minute begins without a burst. It knows no
server and no request.
"""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

_SECONDS = 1.0  # what a bucket holds


class Pace:
    """Made and used inside one event loop. Turns are given in the order in which they were asked for."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._requests = _bucket(requests_per_minute)
        self._tokens = _bucket(tokens_per_minute)
        self._owed = 0.0  # tokens that earlier requests took beyond (or, negative, below) their estimates
        self._order = asyncio.Lock()

    async def turn(self, tokens: float) -> None:
        """Wait until a request of about this many tokens may go."""
        if self._requests is None and self._tokens is None:
            return
        async with self._order:
            if self._requests is not None:
                await self._requests.acquire(1)
            if self._tokens is not None:
                due, self._owed = tokens + self._owed, 0.0
                if due < 0:
                    due, self._owed = 0.0, due
                while due > 0:  # a request larger than the bucket takes it several times
                    part = min(due, self._tokens.max_rate)
                    await self._tokens.acquire(part)
                    due -= part

    def correct(self, estimated: float, counted: float) -> None:
        """What the request really took, once the server has counted: the next turn makes up for the difference."""
        self._owed += counted - estimated


def _bucket(per_minute: float | None) -> AsyncLimiter | None:
    if per_minute is None:
        return None
    size = max(1.0, per_minute / 60 * _SECONDS)
    return AsyncLimiter(size, size * 60 / per_minute)
