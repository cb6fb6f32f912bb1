"""How true a label is of a text: whether its terms occur, or what a judge says.

Owns turning labels into questions; asking is `engine.judges`' business: a local judge gives the probabilities of its answers, a
server a number or a letter, and what a server replied is kept, so that nothing is asked twice. The judge sees the text alone:
a prompt tells what the text is about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.cd.analysis.labels import Label
from engine.cd.analysis.terms import contains
from engine.errors import EngineError
from engine.judges.judge import Backend, LocalBackend
from engine.judges.rubric import Rubric
from engine.judges.verdict import FAILED, Subject, Verdict, why_failed
from engine.progress import Progress

_NOT_SHOWN = "(not shown)"
_FULL = 100.0  # of a server's scale
_MOST_FAILED = 0.1  # of the questions about a label: a few texts may be too long or be refused, a server that is down may not
_BRACES = str.maketrans("{}", "()")
_STATEMENT = "Here is a statement about texts:\n\n{label}\n\n"


class Scorer(Protocol):
    @property
    def asks(self) -> bool:
        """Whether each text costs a question, so that they are not to be too many."""
        ...

    def score(self, label: Label, texts: Sequence[str]) -> list[float | None]:
        """How true it is of each, from 0 to 1; None: no answer."""
        ...

    def compare(self, label: Label, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """From 0 to 1: that it fits the first of the two better; 0.5 where it fits both alike; None: no answer."""
        ...


class TermScorer:
    """1 where one of the label's terms occurs, else 0."""

    asks = False

    def score(self, label: Label, texts: Sequence[str]) -> list[float | None]:
        return [float(contains(text, label.terms)) for text in texts]

    def compare(self, label: Label, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        return [(1 + contains(one, label.terms) - contains(other, label.terms)) / 2 for one, other in pairs]


@dataclass(frozen=True, slots=True)
class JudgeScorer:
    """A judge that is asked. In pairs, which of the two is shown first is drawn for each."""

    backend: Backend

    @property
    def asks(self) -> bool:
        return True

    def score(self, label: Label, texts: Sequence[str]) -> list[float | None]:
        local = isinstance(self.backend, LocalBackend)
        question = _STATEMENT + "{exchange}\n\n" + (_YES_NO if local else _NUMBER)
        form = {"kind": "choice", "answers": ("Yes", "No")} if local else {"kind": "scale", "scale": (0, _FULL)}
        values = self._asked(label, question, form, [Subject(_NOT_SHOWN, (text,)) for text in texts])
        return [value if value is None or local else value / _FULL for value in values]

    def compare(self, label: Label, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        turned = [_turned(pair) for pair in pairs]
        shown = [pair[::-1] if turn else pair for pair, turn in zip(pairs, turned, strict=True)]
        values = self._asked(
            label, _STATEMENT + "{exchange}\n\n" + _WHICH, {"kind": "pair"}, [Subject(_NOT_SHOWN, pair, "ab") for pair in shown]
        )
        return [1 - value if turn and value is not None else value for value, turn in zip(values, turned, strict=True)]

    def _asked(self, label: Label, question: str, form: dict[str, object], subjects: list[Subject]) -> list[float | None]:
        # a label may hold what a rubric would fill in
        text = question.replace("{label}", label.text.translate(_BRACES))
        name = f"label-{hashlib.sha256(label.text.encode()).hexdigest()[:12]}"
        rubric = Rubric.model_validate({"id": name, "version": 1, "about": "a label of texts", "question": text, **form})
        found: list[float | None] = [None] * len(subjects)
        failed: list[Verdict] = []
        with Progress(f"judging {name}", len(subjects)) as progress:
            for index, verdict in self.backend.verdicts(rubric, subjects):
                found[index] = verdict.value
                failed += [verdict] if verdict.label == FAILED else []
                progress.advance()
        if len(failed) > _MOST_FAILED * len(subjects):
            raise EngineError(
                f"The judge failed on {len(failed)} of {len(subjects)} questions: {why_failed(failed[0].raw)}; mend that and "
                "run the same command again, what was answered is kept."
            )
        return found


_YES_NO = "Is the statement true of the answer between the tags? Reply with Yes or No."
_NUMBER = (
    "How true is the statement of the answer between the tags? Reply with a whole number from 0 (not at all) to 100 "
    "(entirely), and nothing else."
)
_WHICH = (
    "Of which of the two responses is the statement more true: of A (response_a) or of B (response_b)? End your reply with "
    "'The answer is: A' or 'The answer is: B'."
)


def _turned(pair: tuple[str, str]) -> bool:
    """Whether the second is shown first. The texts decide: the same two are shown alike, whichever way round they come."""
    drawn = hashlib.sha256("\x1f".join(sorted(pair)).encode()).digest()[0] % 2
    return (pair[0] > pair[1]) != bool(drawn)
