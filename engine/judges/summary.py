"""What was judged, as means: one row for each cell and scorer, one for each pair of cells that were compared.

Owns joining scores to the texts they judged, what one judgement counts for, and the table. No torch.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.judges.agreement import order_consistency
from engine.judges.cells import Catalog, cell_names, cell_place
from engine.judges.rubric import Rubric
from engine.judges.verdict import FAILED, NO_ANSWER, TIE, UNPARSED, Verdict
from engine.statistics import Mean, Share, mean_of
from engine.store import Score, cells_with_responses, read_catalog, read_responses, read_scores
from engine.text_table import WIDTH, Column, text_table
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


def counts_of_no_answer(rows: Sequence[Mapping[str, int]]) -> Column:
    """How often each row's labels are no answer: one column, since the three are read together."""
    return "  ".join(NO_ANSWER), ["  ".join(f"{row.get(name, 0):>{len(name)}}" for name in NO_ANSWER) for row in rows]


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
    return Row(scorer, cells, mean_of(units, is_share(rubric)) if units else None, labels, consistency)


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
    for name, pairs in sorted({(row.scorer, len(row.cells) == 2) for row in found}):
        rows = [row for row in found if row.scorer == name and (len(row.cells) == 2) == pairs]
        rows.sort(key=lambda row: [cell_place(cell, recorded) for cell in row.cells])
        shared, cells = cell_names([row.cells for row in rows], recorded)
        scorer = scorers[name]
        said = f"{scorer.rubric.id} by {scorer.judge} — {_meaning(scorer.rubric)}"
        lines = [textwrap.fill(f"{said}; {shared}" if shared else said, WIDTH)]
        lines.append(text_table(("", cells), _columns(rows, pairs), numbers=True))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _columns(rows: Sequence[Row], pairs: bool) -> list[Column]:
    columns: list[Column] = [
        ("mean [95 %]", [_mean(row.mean) for row in rows]),
        ("prompts", [str(row.mean.units if row.mean else 0) for row in rows]),
        ("compared" if pairs else "answers", [str(row.mean.observations if row.mean else 0) for row in rows]),
        counts_of_no_answer([row.labels for row in rows]),
    ]
    if any(row.leaves_out_much for row in rows):
        columns.append(("", ["!" if row.leaves_out_much else "" for row in rows]))
    if pairs:
        columns.append(("same in both orders", [_consistent(row.consistency) for row in rows]))
    return columns


def _mean(mean: Mean | None) -> str:
    return "no answer" if mean is None else f"{mean.mean:.2f} [{mean.low:.2f}–{mean.high:.2f}]"


def _consistent(share: Share | None) -> str:
    return f"{share.value:.2f} of {share.total}" if share and share.total else ""


def _meaning(rubric: Rubric) -> str:
    if rubric.kind == "pair":
        return "share of comparisons that the first cell wins"
    if is_share(rubric):
        return f"share of answers judged “{rubric.labels()[0]}”"
    if rubric.kind == "scale":
        lower = ", lower is more" if rubric.direction == "lower" else ""
        return f"mean score, {rubric.scale[0]:g} to {rubric.scale[1]:g}{lower}"
    return "mean of the rule's values"
