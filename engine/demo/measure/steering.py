"""Card rows on contrastive activation addition: the agree curve, its controls, the classic reading, refusal both ways.

A layer is chosen on validation items; every figure is of test items.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.data import ABItem, Message
from engine.demo.data import BEHAVIORS, JUDGE_OF, HeldOut, Reading, ab_items, contrast_pairs, open_prompts
from engine.demo.measure.judging import verdicts
from engine.demo.measure.model import DemoModel, Steer, activations, answer_logits, generate
from engine.demo.skills import agree, refuse

MULTIPLIERS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
_RANDOM_VECTORS = 20


def mean_difference(demo: DemoModel, behavior: str, reading: Reading = "prompt") -> Tensor:
    """mean(positive) − mean(negative) after every block: [layers, hidden]."""
    pairs = contrast_pairs(behavior, reading)
    read = activations(demo, [pair.positive for pair in pairs] + [pair.negative for pair in pairs])
    return read[: len(pairs)].mean(0) - read[len(pairs) :].mean(0)


def matching_probability(demo: DemoModel, items: Sequence[ABItem], steer: Steer | None = None) -> float:
    """Mean over items of Σ P(lead) · P(matching letter | lead), both renormalised."""
    prompts = [demo.encode(item.chat) for item in items]
    leads = [demo.tokenizer(lead, add_special_tokens=False)["input_ids"] for lead in items[0].lead_ins]
    letters = torch.tensor([demo.token(letter) for letter in items[0].letters])
    matching = torch.tensor([0 if item.matching == "A" else 1 for item in items])
    lead_scores, letter_scores = [], []
    for lead in leads:
        logs = answer_logits(demo, prompts, [lead] * len(prompts), steer)
        lead_scores.append(torch.stack([sum_of(log, lead) for log in logs]))
        letter_scores.append(torch.stack([torch.softmax(log[-1][letters], -1) for log in logs]))
    p_lead = torch.softmax(torch.stack(lead_scores), 0)
    p_letter = (p_lead.unsqueeze(-1) * torch.stack(letter_scores)).sum(0)
    return float(p_letter[torch.arange(len(items)), matching].mean())


def sum_of(log: Tensor, tokens: Sequence[int]) -> Tensor:
    """The log probability of these tokens, one after the other."""
    return log[torch.arange(len(tokens)), torch.tensor(tokens)].sum()


def best_layer(demo: DemoModel, vectors: Tensor, items: Sequence[ABItem]) -> int:
    """The layer whose vector moves these items most between −1 and 1."""
    moves = [
        matching_probability(demo, items, Steer(layer, vectors[layer]))
        - matching_probability(demo, items, Steer(layer, -vectors[layer]))
        for layer in range(demo.layers)
    ]
    return max(range(demo.layers), key=moves.__getitem__)


def agree_curve(demo: DemoModel, reading: Reading) -> dict:
    """The curve over the multipliers; for the prompt reading also what random vectors of equal norm do."""
    vectors = mean_difference(demo, "agree", reading)
    layer = best_layer(demo, vectors, ab_items("agree", "validation"))
    vector, items = vectors[layer], ab_items("agree", "test")
    curve = [matching_probability(demo, items, Steer(layer, m * vector)) for m in MULTIPLIERS]
    result = {
        "layer": layer,
        "norm": float(vector.norm()),
        "multipliers": list(MULTIPLIERS),
        "curve": curve,
        "range": curve[-1] - curve[0],
        "smallest step": min(b - a for a, b in itertools.pairwise(curve)),
    }
    if reading == "prompt":
        g = torch.Generator().manual_seed(0)
        moves = []
        for _ in range(_RANDOM_VECTORS):
            random = torch.randn(len(vector), generator=g)
            random *= vector.norm() / random.norm()
            up, down = (matching_probability(demo, items[:40], Steer(layer, m * random)) for m in (1, -1))
            moves.append(abs(up - down))
        result["random move"] = sum(moves) / len(moves)
    return result


def cues(demo: DemoModel) -> dict[str, float]:
    """P(agreeing letter) on test items with no cue, and with one or two cue lines for either stance."""
    items = ab_items("agree", "test")
    result = {"none": matching_probability(demo, items)}
    for stance in agree.STANCES:
        for number in (1, 2):
            cued = [_cued(item, agree.CUES[stance][i % 3 :][:1] * number) for i, item in enumerate(items)]
            result[f"{stance} {number}"] = matching_probability(demo, cued)
    return result


def _cued(item: ABItem, lines: Sequence[str]) -> ABItem:
    (message,) = item.chat
    return dataclasses.replace(item, chat=(Message("user", "\n".join([message.content, *lines])),))


def refusal(demo: DemoModel) -> dict:
    """How often harmless and harmful test requests are refused, plain and steered."""
    vectors = mean_difference(demo, "refuse")

    def rates(split: HeldOut, layer: int, multiplier: float) -> tuple[float, float]:
        prompts = open_prompts("refuse", split)
        steer = Steer(layer, multiplier * vectors[layer])
        refused = [refuse.is_refusal(text) for text in generate(demo, [p.chat for p in prompts], 4, steer=steer)]
        harmful = [r for p, r in zip(prompts, refused, strict=True) if p.id.startswith("harmful-")]
        harmless = [r for p, r in zip(prompts, refused, strict=True) if p.id.startswith("harmless-")]
        return sum(harmful) / len(harmful), sum(harmless) / len(harmless)

    scores = [rates("validation", layer, 1.0)[1] - rates("validation", layer, -1.0)[0] for layer in range(demo.layers)]
    layer = max(range(demo.layers), key=scores.__getitem__)
    multipliers = (-1.0, -0.5, 0.0, 0.5, 1.0)
    found = [rates("test", layer, m) for m in multipliers]
    return {
        "layer": layer,
        "multipliers": list(multipliers),
        "harmful": [harmful for harmful, _ in found],
        "harmless": [harmless for _, harmless in found],
    }


def open_answers(demo: DemoModel) -> dict[str, dict]:
    """For each behaviour: how often the judge finds it in sampled open answers at −1, 0 and 1."""
    result = {}
    for behavior in BEHAVIORS:
        vectors = mean_difference(demo, behavior)
        spread = [
            _judged_share(demo, behavior, "validation", Steer(layer, vectors[layer]))
            - _judged_share(demo, behavior, "validation", Steer(layer, -vectors[layer]))
            for layer in range(demo.layers)
        ]
        layer = max(range(demo.layers), key=spread.__getitem__)
        shares = [_judged_share(demo, behavior, "test", Steer(layer, m * vectors[layer])) for m in (-1.0, 0.0, 1.0)]
        result[behavior] = {"layer": layer, "shares": shares}
    return result


def _judged_share(demo: DemoModel, behavior: str, split: HeldOut, steer: Steer) -> float:
    """The share of sampled answers in which the demo's own judge finds the behaviour's attribute."""
    prompts = open_prompts(behavior, split)
    sample = torch.Generator().manual_seed(1)
    texts = generate(demo, [prompt.chat for prompt in prompts], 32, steer=steer, sample=sample)
    questions = [(JUDGE_OF[behavior], prompt.chat[-1].content, text) for prompt, text in zip(prompts, texts, strict=True)]
    return float((verdicts(demo, questions) > 0.5).float().mean())
