"""Responses → scores: each response (or ordered pair of them) is judged exactly once by a scorer, over kills and resumes.

Owns what is still to be judged, and that a verdict is on disk as soon as it is there. Who judges is `engine.judges.judge`'s
business. No torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import EngineError, InputError
from engine.judges.summary import MUCH_UNANSWERED, unanswered
from engine.judges.verdict import FAILED, NO_ANSWER, Order, Subject, why_failed
from engine.progress import Progress, notice
from engine.store import (
    Response,
    Score,
    Segment,
    append_records,
    note_artifact,
    read_scores,
    record_scorer,
    scores_folder,
    writer_name,
)
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.judges.judge import Judge

Key = tuple[tuple[str, ...], tuple[str, ...], str | None]


@dataclass(frozen=True, slots=True)
class Target:
    """What gets one score: its response (or two), the texts' hashes, and how the judge is shown them."""

    subjects: tuple[str, ...]
    text_sha256: tuple[str, ...]
    subject: Subject

    @property
    def key(self) -> Key:
        return self.subjects, self.text_sha256, self.subject.order


@dataclass(frozen=True, slots=True)
class Outcome:
    """`asked` of `total` targets were judged now; `labels` counts the verdicts on all of them."""

    asked: int
    total: int
    labels: Mapping[str, int]


def singles(answers: Iterable[Response]) -> list[Target]:
    return [Target((one.id,), (one.text_sha256,), Subject(one.prompt, (one.text,))) for one in answers]


def pairs(first: Iterable[Response], second: Iterable[Response], orders: Sequence[Order]) -> list[Target]:
    """The answers of two cells to the same prompt (and sample), in each of the orders."""
    others = {(other.prompt_id, other.sample): other for other in second}
    found: list[Target] = []
    for one in first:
        other = others.get((one.prompt_id, one.sample))
        if other is None:
            continue
        if one.prompt != other.prompt:
            raise InputError(
                f"Prompt {one.prompt_id} is not the same text in the cells {one.cell} and {other.cell}; "
                "compare cells of one data set."
            )
        ids, hashes = (one.id, other.id), (one.text_sha256, other.text_sha256)
        found += [Target(ids, hashes, Subject(one.prompt, (one.text, other.text), order)) for order in orders]
    return found


def score(workspace: Workspace, judge: Judge, targets: Sequence[Target], again: Collection[str], label: str) -> Outcome:
    """Judge what this scorer has not judged yet; with `again` also what it gave these labels."""
    known = {key: one.label for key, one in read_scores(workspace, judge.scorer).items()}
    wanted = {target.key: target for target in targets}  # a target that is named twice is judged once
    pending = [target for key, target in wanted.items() if key not in known or known[key] in again]
    reasons: Counter[str] = Counter()
    record_scorer(workspace, judge.scorer, judge.record())
    if pending:
        reasons = _judge(workspace, judge, pending, known, label)
    outcome = Outcome(len(pending), len(wanted), Counter(known[key] for key in wanted))
    if outcome.labels[FAILED] == outcome.total:
        reason = f": {reasons.most_common(1)[0][0]}" if reasons else ""
        raise EngineError(
            f"None of the {outcome.total} questions to {judge.name} was answered{reason}. Mend that and run the same command "
            "with --again failed."
        )
    return outcome


def _judge(workspace: Workspace, judge: Judge, pending: Sequence[Target], known: dict[Key, str], label: str) -> Counter[str]:
    """Write each verdict as it comes, and its label to `known`; → why questions failed, and how often."""
    reasons: Counter[str] = Counter()
    with Segment(scores_folder(workspace, judge.scorer), writer_name()) as segment, Progress(label, len(pending)) as progress:
        for index, verdict in judge.verdicts([target.subject for target in pending]):
            target = pending[index]
            score = Score(*target.key, verdict.value, verdict.label, verdict.raw, judge.scorer)
            append_records(segment, [score])
            known[target.key] = verdict.label
            if verdict.label == FAILED:
                reasons[why_failed(verdict.raw)] += 1
            progress.advance()
    if segment.path is not None:
        note_artifact(workspace, segment.path, "scores", judge.scorer)
    return reasons


def describe(outcome: Outcome, judge: Judge, noun: str) -> str:
    """A summary line: what was judged, every label (those that are no answer always), by whom, at what cost. A warning goes to
    stderr when a mean would leave out much."""
    share = unanswered(outcome.labels)
    order = dict.fromkeys((*judge.rubric.labels(), *NO_ANSWER, *sorted(outcome.labels)))
    counts = ", ".join(f"{outcome.labels.get(name, 0)} {name}" for name in order)
    if share > MUCH_UNANSWERED:
        notice(
            f"warning: {judge.scorer} gave no answer to {share:.0%} of {outcome.total}; means leave them out. "
            "What it said is in artifacts/scores/; --again failed asks those that failed once more"
        )
    if not outcome.asked:
        return f"already there, {outcome.total} {noun} ({counts}) by {judge.scorer}"
    all_told = f", {outcome.total} in all" if outcome.asked < outcome.total else ""
    spent = f"; {judge.backend.spent()}" if judge.backend.spent() else ""
    return f"{outcome.asked} {noun} judged{all_told} ({counts}) by {judge.scorer}{spent}"
