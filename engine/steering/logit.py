"""Vectors of log-odds (`--logit`, §2.3): how the state moves when the model favours the behaviour's letter by one s.d. more.

Owns the reading of z = logit(letter given) − logit(other letter) at the position that predicts the letter, and the weights that
make v = Cov(x, z) / std(z) a weighted sum of the states there. Only the target class takes part: z > 0 means that the model
favours the behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.chats import encode_choice
from engine.data import Contrast, Example
from engine.errors import EngineError, InputError
from engine.likelihood import Query, likelihoods
from engine.models import LoadedModel
from engine.steering.activations import Ids, letter_of


@dataclass(frozen=True)
class LetterOdds:
    """The chats without their letter, whose last position predicts it, and z there: [examples] float64."""

    sequences: list[Ids]
    z: Tensor


def letter_odds(model: LoadedModel, contrast: Contrast, batch_size: int) -> LetterOdds:
    """Of the target class. Logits are computed at the one position of each row only."""
    queries, signs = [], []
    for example in contrast.classes[contrast.target]:
        query, sign = _query(model, example)
        queries.append(query)
        signs.append(sign)
    z = torch.empty(len(queries), dtype=torch.float64)
    for index, found in likelihoods(model, queries, batch_size=batch_size):
        first, second = found.candidates
        z[index] = signs[index] * (first - second)
    return LetterOdds([query.prompt for query in queries], z)


def odds_weights(z: Tensor) -> Tensor:
    """w with Σ wᵢ·xᵢ = Cov(x, z) / std(z), both with n − 1: [examples] float64."""
    if len(z) < 2:
        raise InputError("A vector of log-odds needs two examples or more; give --logit a larger data set.")
    if not z.isfinite().all():
        raise EngineError("The model gives NaN or infinite log-odds of the letters; load it with --dtype float32 or bfloat16.")
    deviation = z.std()
    if deviation == 0:
        raise EngineError("The log-odds of the letters are the same for every example, so no vector moves them.")
    return (z - z.mean()) / ((len(z) - 1) * deviation)


def check_letters(contrast: Contrast) -> None:
    """Refuse a contrast that has no letters to read, before a model is loaded."""
    for example in contrast.classes[contrast.target]:
        if letter_of(example) is None:
            raise InputError(
                f"Example {example.id} does not end in an answer letter, which --logit is about; "
                "give --contrast ab or abcon, or leave --logit out."
            )


def _query(model: LoadedModel, example: Example) -> tuple[Query, int]:
    """The question behind its lead-in, the two letters as candidates, and +1 if the first is the one the example gives."""
    letter, item = letter_of(example), example.item
    assert letter is not None
    assert item is not None
    answer, given = example.chat[-1].content, item.letters["AB".index(letter)]
    choice = encode_choice(model.tokenizer, example.chat[:-1], answer[: len(answer) - len(given)], item.letters)
    return Query(choice.ids, (), choice.candidates), 1 if letter == "A" else -1
