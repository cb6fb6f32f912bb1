"""A local model as a judge: its verdict is how probable each answer *sequence* is behind the question, in padded batches.

Owns the verdict. What is asked is a rubric's business; nothing is sampled, so nothing is unparsed, but what cannot be asked (a
text longer than the judge's context) is `failed`, and equal probabilities are a `tie`.

A choice is the share of its first answer among all; a pair the share of its letter, behind "The answer is:"; a scale the
expected number, over every whole number of the scale. Where one answer's tokens begin another's ("1" and "10") each must be
followed by the end of the turn, else the probability of "1" would hold that of "10".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from engine.judges.asking import ask
from engine.judges.rubric import Rubric
from engine.judges.verdict import FAILED, TIE, Subject, Verdict

if TYPE_CHECKING:
    from engine.chats import Encoded
    from engine.likelihood import Likelihood, Query
    from engine.models import LoadedModel

EQUAL = 1e-9  # shares closer than this are equal
_LEAD_IN = "The answer is:"


def verdicts(model: LoadedModel, rubric: Rubric, subjects: Sequence[Subject], batch_size: int) -> Iterator[tuple[int, Verdict]]:
    """Judge subjects: yield (index, verdict) as batches end. Equal ones are asked about once."""
    from engine.likelihood import likelihoods

    limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    alike: dict[Subject, list[int]] = {}
    for index, subject in enumerate(subjects):
        alike.setdefault(subject, []).append(index)
    answers = _Answers(model, rubric)
    queries: list[Query] = []
    owners: list[Subject] = []
    for subject, indices in alike.items():
        asked, tokens = answers.queries(subject)
        if tokens > limit:
            reason = {"reason": f"{tokens} tokens exceed the judge's {limit} positions"}
            yield from ((index, Verdict(None, FAILED, reason)) for index in indices)
            continue
        queries += asked
        owners += [subject] * len(asked)
    parts: dict[Subject, dict[int, Likelihood]] = {}
    for position, likelihood in likelihoods(model, queries, batch_size=batch_size):
        subject = owners[position]
        found = parts.setdefault(subject, {})
        found[position] = likelihood
        if len(found) == answers.each:
            verdict = _verdict(rubric, subject, answers.logprobs([found[position] for position in sorted(found)]))
            del parts[subject]
            yield from ((index, verdict) for index in alike[subject])


@dataclass(frozen=True, slots=True)
class _Form:
    """How the answers are tokens behind one last token of a prompt. shared: they differ in their last token only."""

    answers: tuple[tuple[int, ...], ...]
    shared: bool
    ends: tuple[int, ...]


class _Answers:
    """The answers of a rubric as tokens. They are looked at once for every token that ends a prompt: a chat template ends all
    prompts alike, and a scale has eleven answers.
    """

    def __init__(self, model: LoadedModel, rubric: Rubric):
        self._model, self._rubric = model, rubric
        self._texts = _texts(rubric)
        self._forms: dict[tuple[int, tuple[int, ...]], _Form] = {}
        self.each = 0

    def queries(self, subject: Subject) -> tuple[list[Query], int]:
        """What to ask about a subject, and how many tokens that takes at most."""
        from engine.likelihood import Query

        chat = ask(self._rubric, subject)
        first = self._encoded(chat, self._texts[0])
        prompt, begun = first.ids[: first.prompt_length], first.ids[first.prompt_length :]
        form = self._forms.get((prompt[-1], begun))
        if form is None:
            others = (self._encoded(chat, text) for text in self._texts[1:])
            form = self._form([begun, *(other.ids[other.prompt_length :] for other in others)])
            self._forms[prompt[-1], begun] = form
        tokens = len(prompt) + max(map(len, form.answers)) + bool(form.ends)
        if form.shared:
            asked = [Query(prompt, begun[:-1], tuple(answer[-1] for answer in form.answers))]
        else:
            asked = [Query(prompt, answer, form.ends) for answer in form.answers]
        self.each = len(asked)
        return asked, tokens

    def logprobs(self, parts: Sequence[Likelihood]) -> list[float]:
        """Of each answer, in the order of the rubric."""
        if len(parts) == 1:
            return [parts[0].continuation + last for last in parts[0].candidates]
        return [part.continuation + (_log_sum(part.candidates) if part.candidates else 0.0) for part in parts]

    def _encoded(self, chat: Any, text: str) -> Encoded:
        from engine.chats import encode_chat, prefilled

        return encode_chat(self._model.tokenizer, prefilled(chat, text))

    def _form(self, answers: Sequence[tuple[int, ...]]) -> _Form:
        if all(answer[:-1] == answers[0][:-1] for answer in answers):
            return _Form(tuple(answers), True, ())
        begins = any(one != other and other[: len(one)] == one for one in answers for other in answers)
        ends = tuple(sorted(self._model.stop_ids())) if begins else ()
        if begins and not ends:
            raise InputError(
                f"The judge {self._model.name} has no token that ends a turn, so it cannot tell "
                f"answers of rubric {self._rubric.id} apart of which one begins another; use an instruction-tuned judge."
            )
        return _Form(tuple(answers), False, ends)


def _texts(rubric: Rubric) -> tuple[str, ...]:
    """What the judge would reply, one text for each answer."""
    if rubric.kind == "scale":
        low, high = (int(bound) for bound in rubric.scale)
        return tuple(str(number) for number in range(low, high + 1))
    if rubric.kind == "pair":
        return tuple(f"{_LEAD_IN} {letter}" for letter in "AB")
    return rubric.answers


def _verdict(rubric: Rubric, subject: Subject, logprobs: Sequence[float]) -> Verdict:
    total = _log_sum(logprobs)
    shares = [math.exp(logprob - total) for logprob in logprobs]
    if rubric.kind == "scale":
        raw = dict(zip(_texts(rubric), shares, strict=True))
        expected = math.fsum(float(number) * share for number, share in raw.items()) / math.fsum(shares)
        return Verdict(min(max(expected, rubric.scale[0]), rubric.scale[1]), "scored", raw)
    if rubric.kind == "pair":
        value, raw = shares[0] if subject.order != "ba" else shares[1], dict(zip("AB", shares, strict=True))
    else:
        value, raw = shares[0], {word: math.exp(logprob) for word, logprob in zip(rubric.answers, logprobs, strict=True)}
    best, second, *_ = sorted(shares, reverse=True)
    if best - second < 2 * EQUAL:
        return Verdict(value, TIE, raw)
    if rubric.kind == "pair":
        return Verdict(value, "a" if value > 0.5 else "b", raw)
    return Verdict(value, rubric.labels()[shares.index(best)], raw)


def _log_sum(logprobs: Sequence[float]) -> float:
    top = max(logprobs)
    return top + math.log(math.fsum(math.exp(logprob - top) for logprob in logprobs))
