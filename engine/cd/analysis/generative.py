"""The generative check (specs/contrastive_decoding.md §6.5): do the models, too, find texts of a label's kind more likely?

An assistant writes texts of which the label is true and texts of which it is not, by the same wording but for that word. Each
gets loss_S - loss_C, the difference of the mean negative log-probabilities. Owns the wording and the test: labels of the texts
are permuted, the texts stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.data import Message
from engine.remote.types import Request
from engine.significance import auc, permutation_p

Statistic = Literal["pearson", "auc"]


@dataclass(frozen=True, slots=True)
class Generated:
    """The check of one statement. expected: has the sign that the association has if the models treat these texts as they did
    the analysed ones (`Finding.loss_shift`). adjusted: p corrected for all statements that were checked."""

    statement: str
    comparison: str
    texts: int
    pearson: float
    auc: float
    p: float
    adjusted: float
    expected: float

    def confirms(self, alpha: float) -> bool:
        return self.adjusted < alpha and self.pearson * self.expected > 0


def requests(label: str, each: int, max_tokens: int, temperature: float, seed: int) -> list[Request]:
    """`each` requests for texts of which the label is true, then as many for texts of which it is not."""
    return [
        Request((Message("user", _wording(label, true)),), max_tokens, temperature, seed + number)
        for true in (True, False)
        for number in range(each)
    ]


def association(labels: Sequence[int], scores: Sequence[float], statistic: Statistic = "pearson") -> float:
    """How far scores follow labels (0 or 1): Pearson's r, 0 where either is constant; or the AUC."""
    if statistic == "auc":
        return auc(scores, labels)
    return float(_pearson(np.asarray(labels, dtype=float)[None], np.asarray(scores, dtype=float))[0])


def association_p(
    labels: Sequence[int], scores: Sequence[float], permutations: int, seed: int, statistic: Statistic = "pearson"
) -> float:
    """Two-sided p-value of the association: the labels of the texts are permuted, nothing is written anew."""
    generator = np.random.default_rng([seed, 3])
    kept = np.asarray(labels)
    shuffled = np.array([generator.permutation(kept) for _ in range(permutations)])
    if statistic == "pearson":
        null = _pearson(shuffled.astype(float), np.asarray(scores, dtype=float))
    else:
        null = np.array([auc(scores, row.tolist()) for row in shuffled])
    return permutation_p(null, association(labels, scores, statistic), "two-sided")


def _pearson(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """[rows] for labels: [rows, texts], scores: [texts]."""
    above, beside = labels - labels.mean(axis=1, keepdims=True), scores - scores.mean()
    spread = np.sqrt((above**2).sum(axis=1) * (beside**2).sum())
    with np.errstate(invalid="ignore"):
        return np.where(spread > 0, above @ beside / np.where(spread > 0, spread, 1), 0.0)


def _wording(label: str, true: bool) -> str:
    return (
        f"Here is a statement about texts: {label}\n\nWrite one text of one to three sentences of which the statement is "
        f"{'true' if true else 'false'}. Reply with the text only."
    )
