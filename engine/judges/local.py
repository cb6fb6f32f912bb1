"""A local model as a judge: its verdict is how probable each answer *sequence* is behind the question, in padded batches.

Owns the verdict and the scorer's name. What is asked is a rubric's business; nothing is sampled, so nothing is unparsed, but
what cannot be asked (a text longer than the judge's context) is `failed`, and equal probabilities are a `tie`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.data import Chat
from engine.errors import InputError
from engine.settings import canonical_json

if TYPE_CHECKING:
    from engine.chats import Encoded
    from engine.likelihood import Likelihood, Query
    from engine.models import LoadedModel

TIE = 1e-9  # probabilities closer than this are equal


@dataclass(frozen=True, slots=True)
class Rubric:
    """A yes/no question about an answer. `value` of a verdict is the share of `answers[0]`."""

    name: str
    answers: tuple[str, str]
    ask: Callable[[str, str], Chat]

    def version(self) -> str:
        """Follows the wording by itself: a hash of the question as it is asked about placeholders."""
        wording = [asdict(message) for message in self.ask("<prompt>", "<answer>")]
        return hashlib.sha256(canonical_json([wording, self.answers]).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`value` in [0, 1] or None; `label` one of the rubric's answers in lower case, or `tie` or `failed`."""

    value: float | None
    label: str
    raw: dict[str, Any]


def demo_rubric(behavior: str) -> Rubric:
    """The question by which the demo judge tells whether an answer shows a behaviour of the demo data."""
    from engine.demo.data import JUDGE_ANSWERS, JUDGE_OF, judge_chat

    if behavior not in JUDGE_OF:
        raise InputError(
            f"No rubric asks about '{behavior}': the local judge knows {', '.join(sorted(JUDGE_OF))}; "
            "open answers about other behaviours cannot be scored, A/B items can be measured (--questions ab)."
        )
    attribute = JUDGE_OF[behavior]
    return Rubric(attribute, JUDGE_ANSWERS, lambda prompt, answer: judge_chat(attribute, prompt, answer))


def scorer_name(judge: str, rubric: Rubric, identity: str) -> str:
    """Judge, rubric, its version and a hash of the judge's weights: another of any of them is another scorer."""
    settings = hashlib.sha256(canonical_json([identity, rubric.answers]).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', judge)}.{rubric.name}.{rubric.version()}.{settings}"


def verdicts(
    model: LoadedModel, rubric: Rubric, exchanges: Sequence[tuple[str, str]], batch_size: int
) -> Iterator[tuple[int, Verdict]]:
    """Judge (prompt, answer) exchanges: yield (index, verdict) as batches end."""
    from engine.chats import encode_chat, prefilled
    from engine.likelihood import likelihoods

    limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    alike: dict[tuple[str, str], list[int]] = {}  # equal answers to one question are asked about once
    for index, exchange in enumerate(exchanges):
        alike.setdefault(exchange, []).append(index)
    queries: list[Query] = []
    owners: list[tuple[str, str]] = []
    for exchange, indices in alike.items():
        chat = rubric.ask(*exchange)
        encoded = [encode_chat(model.tokenizer, prefilled(chat, word)) for word in rubric.answers]
        tokens = max(len(one.ids) for one in encoded)
        if tokens > limit:
            reason = {"reason": f"{tokens} tokens exceed the judge's {limit} positions"}
            yield from ((index, Verdict(None, "failed", reason)) for index in indices)
            continue
        asked = _queries(encoded)
        queries += asked
        owners += [exchange] * len(asked)
    expected = Counter(owners)
    found: dict[tuple[str, str], dict[int, Likelihood]] = {}
    for position, likelihood in likelihoods(model, queries, batch_size=batch_size):
        exchange = owners[position]
        parts = found.setdefault(exchange, {})
        parts[position] = likelihood
        if len(parts) == expected[exchange]:
            verdict = _verdict(rubric, [parts[position] for position in sorted(parts)])
            yield from ((index, verdict) for index in alike[exchange])


def _queries(encoded: Sequence[Encoded]) -> list[Query]:
    """One query for answers that differ in their last token only, else one for each."""
    from engine.likelihood import Query

    length, shared = encoded[0].prompt_length, encoded[0].ids[:-1]
    if all(one.ids[:-1] == shared for one in encoded):
        return [Query(shared[:length], shared[length:], tuple(one.ids[-1] for one in encoded))]
    return [Query(one.ids[: one.prompt_length], one.ids[one.prompt_length :], ()) for one in encoded]


def _verdict(rubric: Rubric, parts: Sequence[Likelihood]) -> Verdict:
    """The answers' sequence probabilities: of a shared beginning with each last token, or of each answer whole."""
    logprobs = [part.continuation + last for part in parts for last in (part.candidates or (0.0,))]
    raw = {word: math.exp(logprob) for word, logprob in zip(rubric.answers, logprobs, strict=True)}
    value = 1 / (1 + math.exp(min(logprobs[1] - logprobs[0], 700.0)))
    if abs(value - 0.5) < TIE:
        return Verdict(value, "tie", raw)
    return Verdict(value, rubric.answers[0 if value > 0.5 else 1].lower(), raw)
