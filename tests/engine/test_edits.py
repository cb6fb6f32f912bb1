"""Edits inside a forward pass: each row its own, at the chosen positions only, beside others in one batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.edits import Edits, Slide, Transport
from engine.errors import InputError
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.hooks import edited
from engine.sampling import Sampling

HIDDEN = 16
SITE, OTHER = Site(1), Site(2, "attn")
draw = torch.Generator().manual_seed(3)
VECTOR, READER, GATE = (torch.randn(HIDDEN, generator=draw) for _ in range(3))
BASIS, _ = torch.linalg.qr(torch.randn(HIDDEN, 5, generator=draw))
SLIDE = Slide(VECTOR, READER / (READER @ VECTOR), 1.5)
MAP = Transport(BASIS, torch.randn(5, 5, generator=draw), 0.8, VECTOR, READER)
GATED = Transport(BASIS, MAP.core, 1.2, READER, VECTOR, GATE, 0.1)
EDITS = {"nothing": None, "addition": 2 * VECTOR, "slide": SLIDE, "transport": MAP, "gated": GATED, "negative": -VECTOR}


def expected(edit, h: Tensor) -> Tensor:
    """The formulas, for one state in float64."""
    h = h.double()
    if edit is None:
        return h
    if isinstance(edit, Tensor):
        return h + edit.double()
    if isinstance(edit, Slide):
        return h + (edit.at - edit.reader.double() @ h) * edit.direction.double()
    if edit.gate is not None and edit.gate.double() @ h <= edit.threshold:
        return h
    whole = edit.scale * torch.eye(HIDDEN).double() + edit.basis.double() @ edit.core.double() @ edit.basis.double().T
    return whole @ (h - edit.source.double()) + edit.target.double()


def before_and_after(model, arms, rows: list[int], mask: Tensor, sites=(SITE,)) -> dict[Site, tuple[Tensor, Tensor]]:
    """What the sites put out before and behind the edits, in one pass over as many rows as `rows`."""
    seen: dict[Site, list[Tensor]] = {site: [] for site in sites}

    def watching():
        return edited(model, {site: lambda h, site=site: seen[site].append(h.clone()) for site in sites})

    edits = Edits(model, arms)
    edits.select(torch.tensor(rows))
    edits.aim(mask)
    ids = torch.randint(1, 64, mask.shape, generator=torch.Generator().manual_seed(0))
    with watching(), edits.attached(), watching(), torch.inference_mode():
        model.model(input_ids=ids)
    return {site: (found[0], found[1]) for site, found in seen.items()}


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.integers(0, len(EDITS) - 1), min_size=1, max_size=8),
    width=st.integers(1, 4),
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
@example(rows=[5, 4, 3, 2, 1, 0, 2, 3], width=4, seed=0, share=0.5)
def test_every_row_has_its_own_edit_at_the_chosen_positions(parity, rows, width, seed, share):
    mask = torch.rand(len(rows), width, generator=torch.Generator().manual_seed(seed)) < share
    arms = [{} if edit is None else {SITE: edit} for edit in EDITS.values()]
    before, after = before_and_after(parity, arms, rows, mask)[SITE]
    for row, arm in enumerate(rows):
        for position in range(width):
            h = before[row, position]
            if not mask[row, position]:
                assert torch.equal(after[row, position], h)
            else:
                edit = list(EDITS.values())[arm]
                torch.testing.assert_close(after[row, position].double(), expected(edit, h), atol=1e-4, rtol=1e-4)


def test_an_arm_may_edit_several_sites_each_in_its_way(parity):
    arms = [{SITE: SLIDE, OTHER: 2 * VECTOR}, {OTHER: MAP}, {SITE: -VECTOR}, {}]
    mask = torch.ones(4, 3, dtype=torch.bool)
    found = before_and_after(parity, arms, [0, 1, 2, 3], mask, (SITE, OTHER))
    for site, (before, after) in found.items():
        for row, arm in enumerate(arms):
            wanted = torch.stack([expected(arm.get(site), h) for h in before[row]])
            torch.testing.assert_close(after[row].double(), wanted, atol=1e-4, rtol=1e-4)


def test_edits_of_a_bfloat16_model_are_rounded_once(parity):
    import copy

    from engine.models import wrap

    low = wrap(copy.deepcopy(parity.model).to(torch.bfloat16), parity.tokenizer, "low")
    arms = [{SITE: edit} for edit in (SLIDE, MAP)]
    before, after = before_and_after(low, arms, [0, 1], torch.ones(2, 3, dtype=torch.bool))[SITE]
    assert after.dtype == torch.bfloat16
    for row, edit in enumerate((SLIDE, MAP)):
        exact = torch.stack([expected(edit, h) for h in before[row]])
        assert ((after[row].double() - exact).abs() <= exact.abs() * 2**-8 + 1e-5).all()


def test_nothing_is_left_behind_and_unselected_sites_are_not_touched(parity):
    ids = torch.tensor([[5, 33, 22]])
    with torch.inference_mode():
        clean = parity.model(input_ids=ids).logits
    edits = Edits(parity, [{SITE: SLIDE}, {}])
    edits.select(torch.tensor([1]))
    edits.aim(torch.ones(1, 3, dtype=torch.bool))
    with edits.attached(), torch.inference_mode():
        assert torch.equal(parity.model(input_ids=ids).logits, clean)
    with torch.inference_mode():
        assert torch.equal(parity.model(input_ids=ids).logits, clean)


@pytest.mark.parametrize(
    "edit",
    [torch.ones(8), Slide(torch.ones(8), torch.ones(8), 0.0), Transport(*[torch.ones(8)] * 2, 1.0, *[torch.ones(8)] * 2)],
)
def test_a_vector_of_another_width_is_one_sentence_with_both(parity, edit):
    with pytest.raises(InputError, match=r"stream\.1 is 8 wide, but the hidden states of parity are 16 wide"):
        generate_one(parity, {SITE: edit})


def generate_one(model, arm):
    return dict(generate(model, [Row((1, 2, 3))], Sampling(2, temperature=0), Steering([arm])))
