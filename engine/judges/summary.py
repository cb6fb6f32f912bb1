"""What was judged, as means: one row for each cell and scorer, one for each pair of cells that were compared.

Owns joining scores to the texts they judged, what one judgement counts for, and the table. No torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.judges.agreement import order_consistency
from engine.judges.cells import Catalog, cell_name, cell_place
from engine.judges.rubric import Rubric
from engine.judges.verdict import FAILED, TIE, UNPARSED, Verdict
from engine.statistics import Mean, Share, mean_of
from engine.store import Score, cells_with_responses, read_catalog, read_responses, read_scores
from engine.workspace import Workspace

MUCH_UNANSWERED = 0.05
"""A mean that leaves out more than this share gets a warning."""


class Origin(NamedTuple):
    """Where a response comes from, and which text of it is seen."""

    cell: str
    prompt_id: str
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Scorer:
    """What a scorer's name stands for, as far as its scores are read by it."""

    judge: str
    rubric: Rubric


@dataclass(frozen=True, slots=True)
class Row:
    """One cell (or two that were compared) by one scorer. `mean` None: the judge answered nothing."""

    scorer: str
    cells: tuple[str, ...]
    mean: Mean | None
    labels: Mapping[str, int]
    consistency: Share | None = None

    @property
    def leaves_out_much(self) -> bool:
        return unanswered(self.labels) > MUCH_UNANSWERED


def unanswered(labels: Mapping[str, int]) -> float:
    """The share of verdicts that a mean leaves out: `unparsed` and `failed`. A tie is an answer of a kind, and counts half."""
    return (labels.get(FAILED, 0) + labels.get(UNPARSED, 0)) / max(sum(labels.values()), 1)


def observed(score: Score, rubric: Rubric) -> float | None:
    """What one judgement counts for. Of a share (yes or no, A or B) 1 for the first answer, 0 for another, a tie half; else its
    value. None: it gave no answer and is left out."""
    if score.value is None:
        return None
    if not is_share(rubric):
        return score.value
    return 0.5 if score.label == TIE else float(score.label == rubric.labels()[0])


def is_share(rubric: Rubric) -> bool:
    """Whether a mean of this rubric's judgements is a share, from 0 to 1."""
    return rubric.kind in ("choice", "pair") or rubric.labels() == ("yes", "no")


def recorded_scorers(workspace: Workspace) -> dict[str, Scorer]:
    """Every scorer that has judged in this workspace."""
    return {
        name: Scorer(record["judge"], Rubric.model_validate(record["rubric"]))
        for name, record in read_catalog(workspace, "scorers").items()
    }


def rows(workspace: Workspace, scorers: Mapping[str, Scorer], prefixes: Collection[str]) -> list[Row]:
    """The rows of these scorers, over the cells whose keys begin so (all, without prefixes)."""
    origins = _origins(workspace)
    found: list[Row] = []
    for name, scorer in scorers.items():
        groups: dict[tuple[str, ...], list[tuple[str, Score]]] = {}
        for score in read_scores(workspace, name).values():
            subjects = [origins[subject] for subject in score.subjects if subject in origins]
            if tuple(one.text_sha256 for one in subjects) != score.text_sha256:
                continue  # another text has taken this one's place
            cells = tuple(one.cell for one in subjects)
            if not prefixes or any(cell.startswith(tuple(prefixes)) for cell in cells):
                groups.setdefault(cells, []).append((subjects[0].prompt_id, score))
        found += [_row(name, cells, scores, scorer.rubric) for cells, scores in groups.items()]
    return found


def _row(scorer: str, cells: tuple[str, ...], scores: Sequence[tuple[str, Score]], rubric: Rubric) -> Row:
    units: dict[str, list[float]] = {}
    for prompt, score in scores:
        value = observed(score, rubric)
        if value is not None:
            units.setdefault(prompt, []).append(value)
    labels = Counter(score.label for _, score in scores)
    consistency = _consistency(score for _, score in scores) if len(cells) == 2 else None
    return Row(scorer, cells, mean_of(units) if units else None, labels, consistency)


def _consistency(scores: Iterable[Score]) -> Share:
    by_pair: dict[tuple[str, ...], dict[str | None, Verdict]] = {}
    for score in scores:
        by_pair.setdefault(score.subjects, {})[score.order] = Verdict(score.value, score.label, None)
    return order_consistency((orders["ab"], orders["ba"]) for orders in by_pair.values() if len(orders) == 2)


def _origins(workspace: Workspace) -> dict[str, Origin]:
    """Every response's, by id."""
    return {
        one.id: Origin(cell, one.prompt_id, one.text_sha256)
        for cell in cells_with_responses(workspace)
        for one in read_responses(workspace, cell).values()
    }


def table(found: Sequence[Row], scorers: Mapping[str, Scorer], recorded: Catalog) -> str:
    """Rows of one scorer together, a sweep in the order of its multipliers. recorded: what is known of the cells."""
    blocks: list[str] = []
    for name in sorted({row.scorer for row in found}, key=lambda name: (scorers[name].rubric.id, name)):
        rows = [row for row in found if row.scorer == name]
        rows.sort(key=lambda row: [cell_place(cell, recorded) for cell in row.cells])
        names = [" over ".join(cell_name(cell, recorded) for cell in row.cells) for row in rows]
        width = max(map(len, names))
        scorer, pairs = scorers[name], len(rows[0].cells) == 2
        units = "comparisons" if pairs else "answers"
        head = f"  {'':<{width}}  {'mean [95 % interval]':<20}  prompts  {units:>11}   tie  unparsed  failed"
        lines = [f"{scorer.rubric.id} by {scorer.judge} — {_meaning(scorer.rubric)}"]
        lines.append(f"{head}  same in both orders" if pairs else head)
        lines += [f"  {name:<{width}}  {_numbers(row)}" for name, row in zip(names, rows, strict=True)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _numbers(row: Row) -> str:
    mean, units, observations = "no answer", 0, 0
    if row.mean is not None:
        mean = f"{row.mean.mean:.2f} [{row.mean.low:.2f}–{row.mean.high:.2f}]"
        units, observations = row.mean.units, row.mean.observations
    counts = "  ".join(f"{row.labels.get(name, 0):>{width}}" for name, width in ((TIE, 4), (UNPARSED, 8), (FAILED, 6)))
    kept = f"  {row.consistency.value:.2f} of {row.consistency.total}" if row.consistency and row.consistency.total else ""
    mark = f"  ! {unanswered(row.labels):.0%} left out" if row.leaves_out_much else ""
    return f"{mean:<20}  {units:>7}  {observations:>11}  {counts}{kept}{mark}"


def _meaning(rubric: Rubric) -> str:
    if rubric.kind == "pair":
        return "share of comparisons that the first cell wins"
    if is_share(rubric):
        return f"share of answers judged “{rubric.labels()[0]}”"
    if rubric.kind == "scale":
        lower = ", lower is more" if rubric.direction == "lower" else ""
        return f"mean score, {rubric.scale[0]:g} to {rubric.scale[1]:g}{lower}"
    return "mean of the rule's values"
