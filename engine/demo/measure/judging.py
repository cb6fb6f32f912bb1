"""Card rows on the judge skill: accuracy and prior per attribute, on held-out nouns and requests."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.demo.data import JUDGE_ANSWERS, JUDGE_ATTRIBUTES, judge_chat
from engine.demo.measure.model import DemoModel, answer_logits
from engine.demo.skills.judge import judged

_PER_VERDICT = 50


def verdicts(demo: DemoModel, questions: Sequence[tuple[str, str, str]]) -> Tensor:
    """P(Yes) among Yes and No for each (attribute, prompt, answer): [questions]."""
    yes, no = (demo.token(answer) for answer in JUDGE_ANSWERS)
    prompts = [demo.encode(judge_chat(*question)) for question in questions]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    result = torch.zeros(len(prompts))
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        logs = answer_logits(demo, [prompts[i] for i in part], [[]] * len(part))
        for i, log in zip(part, logs, strict=True):
            result[i] = torch.softmax(log[0, [yes, no]], -1)[0]
    return result


def accuracy(demo: DemoModel) -> dict[str, dict[str, float]]:
    """Per attribute: the share of right verdicts and the mean P(Yes), over as many positive as negative answers."""
    questions, truth = [], []
    for attribute in JUDGE_ATTRIBUTES:
        r = random.Random(f"judge card {attribute}")
        for verdict in (True, False):
            for _ in range(_PER_VERDICT):
                questions.append((attribute, *judged(r, "test", attribute, verdict)))
                truth.append(verdict)
    p = verdicts(demo, questions).reshape(len(JUDGE_ATTRIBUTES), -1)
    right = (p > 0.5) == torch.tensor(truth).reshape(p.shape)
    return {
        attribute: {"accuracy": int(right[i].sum()) / right.shape[1], "prior": float(p[i].mean())}
        for i, attribute in enumerate(JUDGE_ATTRIBUTES)
    }
