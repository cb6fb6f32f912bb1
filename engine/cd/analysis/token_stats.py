"""What single tokens of a run show: which of them diverge, where in a text, and how long a divergence lasts (spec §6.2).

Owns the arithmetic on tokens. It reads no files and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TokenMean:
    token: str
    mean: float
    count: int


def token_means(texts: Iterable[tuple[Sequence[str], NDArray[np.float64]]], min_count: int) -> list[TokenMean]:
    """Every token that occurs `min_count` times or more, by falling mean. texts: of each its tokens and, in step, numbers, NaN
    where one is not counted."""
    sums: dict[str, tuple[float, int]] = {}
    for tokens, numbers in texts:
        for token, number in zip(tokens, numbers.tolist(), strict=True):
            if token and number == number:  # no part of a letter, no NaN
                total, count = sums.get(token, (0.0, 0))
                sums[token] = (total + number, count + 1)
    found = [TokenMean(token, total / count, count) for token, (total, count) in sums.items() if count >= min_count]
    return sorted(found, key=lambda one: (-one.mean, one.token))


def by_index(texts: Sequence[NDArray[np.float64]], indices: int) -> NDArray[np.float64]:
    """[texts, indices]: each text's first numbers, NaN behind its end."""
    table = np.full((len(texts), indices), np.nan)
    for row, numbers in enumerate(texts):
        table[row, : len(numbers)] = numbers[:indices]
    return table


def lagged(texts: Sequence[NDArray[np.float64]], lag: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numbers of tokens i and i + lag of the same text, [pairs] each; pairs with a NaN are left out."""
    earlier = np.concatenate([np.empty(0), *(numbers[:-lag] for numbers in texts if len(numbers) > lag)])
    later = np.concatenate([np.empty(0), *(numbers[lag:] for numbers in texts if len(numbers) > lag)])
    known = ~np.isnan(earlier) & ~np.isnan(later)
    return earlier[known], later[known]
