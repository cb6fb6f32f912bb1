"""Texts for analyses, made by chance: words of no language, with or without something planted in one of the sets."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from engine.cd.analysis.findings import Trial
from engine.cd.analysis.labels import TermLabeller
from engine.cd.analysis.scorers import TermScorer
from engine.cd.analysis.settings import AnalyseSettings
from engine.cd.analysis.texts import AnalysedText, Texts, deal

WORDS = [f"{a}{b}{c}" for a in "bdgklmnprst" for b in "aeiou" for c in ("n", "r", "sk", "l")]


def sentence(r: random.Random, words: int = 8) -> str:
    return " ".join(r.choices(WORDS, [1 / (rank + 3) for rank in range(len(WORDS))], k=words))


def two_sets(
    seed: int, prompts: int = 40, samples: int = 4, change: Callable[[random.Random, str], str] | None = None
) -> list[AnalysedText]:
    """Both sets answer the same prompts; `change` is done to texts of the first."""
    r = random.Random(seed)
    return [
        AnalysedText(
            f"{of}:{prompt}:{sample}", f"p{prompt:03}", f"prompt {prompt}", sample,
            change(r, sentence(r)) if change and of == 0 else sentence(r), r.random(), 0.0, of,
        )
        for of in (0, 1) for prompt in range(prompts) for sample in range(samples)
    ]  # fmt: skip


def dealt(found: list[AnalysedText], settings: AnalyseSettings, names: tuple[str, ...] = ("A", "B")) -> Texts:
    return deal(names, found, settings.unit, settings.label_share, settings.select_share, settings.seed)


def offline(texts: Texts, settings: AnalyseSettings) -> Trial:
    return Trial(texts, TermLabeller(settings.term_length, 2 if settings.unit == "prompt" else 1), TermScorer(), settings)


def word_vectors(texts: Texts, width: int = 12) -> np.ndarray:
    """An embedding by chance: words have random directions, a text is their mean. [texts, width] float32."""

    def direction(word: str) -> np.ndarray:
        return np.random.default_rng(list(word.encode())).normal(size=width)

    return np.array([np.mean([direction(word) for word in text.text.split()], axis=0) for text in texts.all], np.float32)
