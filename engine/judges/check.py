"""Is a judge to be trusted with a rubric? What it says about known cases, before its means are believed.

Owns the questions, the arithmetic, the rules of trust and the record `artifacts/checks/<scorer>.json`. It asks and prints
nothing. A judge is trusted when all of this holds:

- at least `LEAST_CASES` known cases, and an answer (not `unparsed`, not `failed`) to 95 % of the questions;
- direction: among decided questions the right side wins beyond chance (Wilson interval above one half). Below it the rubric,
  its few-shot examples or its `direction` are reversed, and every curve made with it is upside down;
- accuracy: at least 0.8 (`--accuracy`). Of a yes/no rubric the share of right answers, of a scale how often the answer that
  shows the behaviour scores higher than the one that lacks it, of a pair how often the right one wins over both orders: they
  are one case, no two. A tie is not right;
- a rule says the same every time, so that one known case on the right side is enough to show where it points;
- of a pair: the same answer wins in both orders in 80 % of the cases, and the interval of how often the answer shown first wins
  touches 0.4 to 0.6.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from engine.atomic import write_whole
from engine.judges.agreement import Agreement, agreement, first_shown, order_consistency, winner
from engine.judges.rubric import Rubric
from engine.judges.summary import MUCH_UNANSWERED
from engine.judges.verdict import FAILED, NO_ANSWER, TIE, UNPARSED, Order, Subject, Verdict, why_failed
from engine.statistics import Share, share_of
from engine.workspace import Workspace

LEAST_CASES = 6
LEAST_CONSISTENCY = 0.8
FAIR_FIRST = (0.4, 0.6)

Direction = Literal["right", "reversed", "unclear"]


@dataclass(frozen=True, slots=True)
class Compared:
    """How far another judge says the same of the same questions; `agreement` None: there is none that both answered."""

    scorer: str
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Check:
    """What a judge made of the known cases of a rubric. `against` is what there is of another judge; `doubts` say why the judge
    is not to be trusted: none, and it is.
    """

    scorer: str
    judge: str
    rubric: str
    cases: int
    questions: int
    labels: Mapping[str, int]
    direction: Direction
    accuracy: Share
    above: float | None
    """Of a scale: how often any answer that shows the behaviour scores above any that lacks it (area under the ROC curve)."""
    first_shown: Share | None
    consistency: Share | None
    against: Compared | None
    doubts: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        return not self.doubts


def questions(rubric: Rubric) -> list[Subject]:
    """Two for each known case: the answer that shows and the one that lacks, or both together in either order."""
    if rubric.kind == "pair":
        return [Subject(case.prompt, (case.shows, case.lacks), order) for case in rubric.known for order in get_args(Order)]
    return [Subject(case.prompt, (text,)) for case in rubric.known for text in (case.shows, case.lacks)]


def examine(
    scorer: str,
    judge: str,
    rubric: Rubric,
    verdicts: Sequence[Verdict],
    least_accuracy: float,
    other: tuple[str, Sequence[Verdict]] | None = None,
) -> Check:
    """verdicts: on `questions(rubric)`, in their order; other: another judge's, and its scorer."""
    twos = list(zip(verdicts[::2], verdicts[1::2], strict=True))
    if rubric.kind == "pair":
        right, wrong = _preferred(twos, rubric)
        shown: list[tuple[Order | None, Verdict]] = [
            (question.order, verdict) for question, verdict in zip(questions(rubric), verdicts, strict=True)
        ]
        first, consistency = first_shown(shown), order_consistency(twos)
    else:
        right, wrong = _outranked(twos, rubric) if _is_graded(rubric) else _sided(twos, rubric)
        first = consistency = None
    asked = len(twos) if _is_graded(rubric) or rubric.kind == "pair" else len(verdicts)
    labels = Counter(verdict.label for verdict in verdicts)
    rule = rubric.kind == "rule"
    accuracy, direction = share_of(right, asked), _direction(right, wrong, certain=rule)
    doubts = (
        *_doubts_of_answers(len(twos), 1 if rule else LEAST_CASES, verdicts),
        *(_doubts_of_side(direction, accuracy, least_accuracy) if any(one.value is not None for one in verdicts) else ()),
        *_doubts_of_order(first, consistency),
    )
    compared = Compared(other[0], agreement(verdicts, other[1], _is_graded(rubric))) if other else None
    above = _area(twos, rubric) if _is_graded(rubric) else None
    counts = {name: labels.get(name, 0) for name in dict.fromkeys((*rubric.labels(), *NO_ANSWER, *labels))}
    return Check(
        scorer=scorer,
        judge=judge,
        rubric=rubric.id,
        cases=len(twos),
        questions=len(verdicts),
        labels=counts,
        direction=direction,
        accuracy=accuracy,
        above=above,
        first_shown=first,
        consistency=consistency,
        against=compared,
        doubts=doubts,
    )


def check_path(workspace: Workspace, scorer: str) -> Path:
    return workspace.artifacts / "checks" / f"{scorer}.json"


def record_check(workspace: Workspace, check: Check, rubric: Rubric, verdicts: Sequence[Verdict], at: float) -> Path:
    """Keep the check, with what was said of each question, for those who report this judge's scores. at: seconds since 1970."""
    said = [
        {
            "prompt": question.prompt,
            "answers": question.answers,
            "order": question.order,
            "label": one.label,
            "value": one.value,
            "raw": one.raw,
        }
        for question, one in zip(questions(rubric), verdicts, strict=True)
    ]
    about = {"rubric_direction": rubric.direction, "trusted": check.trusted, "checked_at": at}
    record = {**asdict(check), **about, "said": said}
    path = check_path(workspace, check.scorer)
    write_whole(path, json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n")
    return path


def standing(record: Mapping[str, Any] | None, rubric: Rubric) -> str:
    """A scorer's check in a few words, for tables and captions; `record` as it was kept, None where there is none."""
    if record is None or record.get("rubric_direction") != rubric.direction:
        asked = rubric.id if rubric.attribute is None else f'{rubric.id.rpartition(".")[0]} --attribute "{rubric.attribute}"'
        since = "" if record is None else " since the rubric's direction was changed"
        return f"not checked{since}; run `tiller judge check --rubric {asked}` with this judge"
    right, asked = record["accuracy"]["count"], record["accuracy"]["total"]
    found = f"accuracy {right / max(asked, 1):.2f} (n = {asked}), direction {record['direction']}"
    if record["trusted"]:
        return f"checked: {found}"
    return f"checked, DO NOT TRUST: {found}; {'; '.join(record['doubts'])}"


def _is_graded(rubric: Rubric) -> bool:
    """Whether only the order of two values means something: a scale, a length, a share of words."""
    return rubric.kind == "scale" or rubric.labels() == ("scored",)


def _toward(verdict: Verdict, rubric: Rubric) -> float | None:
    """The value, higher for more of the behaviour."""
    if verdict.value is None:
        return None
    return verdict.value if rubric.direction == "higher" else -verdict.value


def _outranked(twos: Sequence[tuple[Verdict, Verdict]], rubric: Rubric) -> tuple[int, int]:
    """In how many cases the answer that shows scores above, and below, the one that lacks."""
    both = [(_toward(shows, rubric), _toward(lacks, rubric)) for shows, lacks in twos]
    decided = [(a, b) for a, b in both if a is not None and b is not None]
    return sum(a > b for a, b in decided), sum(a < b for a, b in decided)


def _preferred(twos: Sequence[tuple[Verdict, Verdict]], rubric: Rubric) -> tuple[int, int]:
    """In how many pairs the answer that shows wins more often, and less often, than the other, over both orders."""
    wins = [[winner(verdict) for verdict in orders] for orders in twos]
    lead = [won.count("first") - won.count("second") for won in wins]
    ahead, behind = sum(one > 0 for one in lead), sum(one < 0 for one in lead)
    return (ahead, behind) if rubric.direction == "higher" else (behind, ahead)


def _sided(twos: Sequence[tuple[Verdict, Verdict]], rubric: Rubric) -> tuple[int, int]:
    """How many answers are rightly said to show the behaviour or not, and how many wrongly."""
    right = wrong = 0
    for verdicts in twos:
        for verdict, shows in zip(verdicts, (True, False), strict=True):
            if verdict.value is None or verdict.label == TIE:
                continue
            said = (verdict.label == rubric.labels()[0]) == (rubric.direction == "higher")
            right, wrong = right + (said == shows), wrong + (said != shows)
    return right, wrong


def _area(twos: Sequence[tuple[Verdict, Verdict]], rubric: Rubric) -> float | None:
    """P(any answer that shows scores above any that lacks), equal scores half."""
    showing, lacking = (
        [value for verdict in side if (value := _toward(verdict, rubric)) is not None] for side in zip(*twos, strict=True)
    ) if twos else ([], [])  # fmt: skip
    if not showing or not lacking:
        return None
    above = sum((a > b) + (a == b) / 2 for a in showing for b in lacking)
    return above / (len(showing) * len(lacking))


def _direction(right: int, wrong: int, certain: bool) -> Direction:
    """`certain`: the majority decides, without regard to chance."""
    share = share_of(right, right + wrong)
    low, high = (share.low, share.high) if share.total == 0 or not certain else (share.value, share.value)
    if low > 0.5:
        return "right"
    return "reversed" if high < 0.5 else "unclear"


def _doubts_of_answers(cases: int, least: int, verdicts: Sequence[Verdict]) -> list[str]:
    doubts = []
    if cases < least:
        doubts.append(f"the rubric has {cases} known cases, at least {least} are needed")
    silent = [verdict for verdict in verdicts if verdict.label in (UNPARSED, FAILED)]
    if len(silent) > MUCH_UNANSWERED * len(verdicts):
        doubts.append(f"it gave no answer to {len(silent)} of {len(verdicts)} questions ({_such_as(silent[0])})")
    return doubts


def _such_as(silent: Verdict) -> str:
    """What became of one question, in a few words."""
    if silent.label == FAILED:
        return f"failed: {why_failed(silent.raw)}"
    return f"unparsed: it says “{textwrap.shorten(str(silent.raw), 60, placeholder=' …')}”"


def _doubts_of_side(direction: Direction, accuracy: Share, least: float) -> list[str]:
    if direction == "reversed":
        return ["the direction is reversed: answers that lack the behaviour are taken for those that show it"]
    if direction == "unclear":
        return ["it cannot tell answers that show the behaviour from those that lack it beyond chance"]
    return [f"accuracy {accuracy.value:.2f} is below {least:g}"] if accuracy.value < least else []


def _doubts_of_order(first: Share | None, consistency: Share | None) -> list[str]:
    doubts = []
    if first is not None and first.total and (first.low > FAIR_FIRST[1] or first.high < FAIR_FIRST[0]):
        doubts.append(f"the answer shown first wins {first.value:.0%} of the time, whichever it is")
    if consistency is not None and consistency.total and consistency.value < LEAST_CONSISTENCY:
        doubts.append(f"the same answer wins in both orders only {consistency.value:.0%} of the time")
    return doubts
