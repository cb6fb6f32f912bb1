"""Position rules: absolute, whatever the padding and whether tokens come one by one."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.families import Site
from engine.forward import Steering, pad
from engine.generation import Row, generate
from engine.positions import PositionRule, first_position, leaves_prompt_prefix, steered
from engine.sampling import Sampling

RULES = get_args(PositionRule)
NEW = 4


def meant(rule: str, position: int, length: int, marker: int) -> bool:
    """DESIGN §4 and, for what the originals did, specs/steering.md §3.1, word for word."""
    return {
        "all": True,
        "before": position < length - 1,
        "completion": position >= length - 1,
        "generated": position >= length,
        "from_marker": position >= marker,
        "legacy_before": position != length - 1,
        "legacy_after": position == length - 1,
    }[rule]


@st.composite
def batches(draw):
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    return lengths, [draw(st.integers(0, length - 1)) for length in lengths]


def firsts(rule, lengths, markers):
    return torch.tensor([first_position(rule, *row) for row in zip(lengths, markers, strict=True)])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("rule", RULES)
@given(batch=batches())
def test_whole_sequences_under_either_padding(rule, side, batch):
    lengths, markers = batch
    _, valid = pad([[1] * (length + NEW) for length in lengths], side)
    positions = (valid.cumsum(1) - 1).clamp(min=0)
    mask = steered(rule, positions, valid, torch.tensor(lengths), firsts(rule, lengths, markers))
    assert not (mask & ~valid).any()
    for row, (length, marker) in enumerate(zip(lengths, markers, strict=True)):
        found = {int(p): bool(m) for p, m, v in zip(positions[row], mask[row], valid[row], strict=True) if v}
        assert found == {p: meant(rule, p, length, marker) for p in range(length + NEW)}


@pytest.mark.parametrize("rule", RULES)
@given(batch=batches())
def test_token_by_token_gives_the_same_map(rule, batch):
    lengths, markers = batch
    for step in range(NEW):
        positions = torch.tensor(lengths)[:, None] + step
        mask = steered(
            rule, positions, torch.ones_like(positions, dtype=torch.bool), torch.tensor(lengths), firsts(rule, lengths, markers)
        )
        assert mask[:, 0].tolist() == [
            meant(rule, length + step, length, m) for length, m in zip(lengths, markers, strict=True)
        ]


@pytest.mark.parametrize("rule", RULES)
@given(batch=batches())
def test_a_shared_prefill_is_only_claimed_where_it_is_unsteered(rule, batch):
    lengths, markers = batch
    if leaves_prompt_prefix(rule):
        assert not any(meant(rule, p, length, m) for length, m in zip(lengths, markers, strict=True) for p in range(length - 1))


@pytest.mark.parametrize("use_cache", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("rule", RULES)
def test_the_recorded_map_of_a_real_generation_is_what_was_meant(parity, rule, use_cache):
    """P6 in its correct form, behind left padding, one batch of unequal prompts."""
    prompts = [(1, 33, 22, 11, 4), (1, 4), (1, 9, 8, 7, 6, 5, 12, 4), (5,)]
    markers = [2, 1, 6, 0]
    rows = [Row(prompt, marker=marker) for prompt, marker in zip(prompts, markers, strict=True)]
    steering = Steering([{Site(1): torch.ones(16)}], rule)
    found = dict(generate(parity, rows, Sampling(NEW, temperature=0), steering, 4, frozenset(), use_cache))
    for index, (prompt, marker) in enumerate(zip(prompts, markers, strict=True)):
        length = len(prompt)
        assert list(found[index].steered) == [meant(rule, p, length, marker) for p in range(length + NEW - 1)]


@pytest.mark.parametrize("rule", RULES)
def test_a_vector_acts_exactly_at_the_recorded_positions(parity, rule):
    """The hooks themselves: an identity-checked trace of what was added, against the map."""
    from engine.hooks import edited

    site, added = Site(1), []
    rows = [Row((1, 33, 22, 11, 4), marker=2)]
    clean, touched = [], []

    def watch(into):
        return lambda h: into.append(h.clone())

    block = parity.module(site)
    with edited(parity, {site: watch(clean)}):  # hooked first: sees the block before the vector is added
        steering = Steering([{site: torch.full((16,), 3.0)}], rule)
        handles = []
        original = block.register_forward_hook

        def later(hook):
            handle = original(hook)
            handles.append(original(lambda _m, _i, out: touched.append(out.clone())))
            return handle

        block.register_forward_hook = later  # type: ignore[method-assign]
        try:
            completion = dict(generate(parity, rows, Sampling(NEW, temperature=0), steering, 1, frozenset()))[0]
        finally:
            del block.register_forward_hook
            for handle in handles:
                handle.remove()
    for before, after in zip(clean, touched, strict=True):
        added += [(after - before).abs().amax(-1).flatten().tolist()]
    assert [value > 1 for step in added for value in step] == list(completion.steered)


P6 = {  # specs/steering.md §11: L = 5, six steps of cached decoding
    "before": [1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    "completion": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    "legacy_before": [1, 1, 1, 1, 0, 1, 1, 1, 1, 1],
    "legacy_after": [0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
}


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("rule", P6)
def test_p6_steered_positions_of_cached_decoding(parity, rule, batch_size):
    rows = [Row((1, 33, 22, 11, 4)), Row((1, 4)), Row((1, 9, 8, 7, 6, 5, 12, 4))]
    steering = Steering([{Site(1): torch.ones(16)}], rule)
    found = dict(generate(parity, rows, Sampling(6, temperature=0), steering, batch_size, frozenset()))
    assert list(map(int, found[0].steered)) == P6[rule]


def test_from_marker_without_a_marker_is_refused():
    with pytest.raises(EngineError, match="--marker"):
        first_position("from_marker", 5, None)
