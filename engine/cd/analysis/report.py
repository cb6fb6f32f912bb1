"""What an analysis found, in a terminal of 80 columns: what was compared, regions, findings, and what was not tested.

Owns the words. It reads the record alone; texts of models are made safe to print. No torch.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from engine.cd.analysis.analysis import AnalysisRecord
from engine.cd.analysis.findings import Finding
from engine.cd.analysis.regions import Region
from engine.cd.analysis.texts import PARTS
from engine.printable import printable
from engine.text_table import WIDTH, text_table

_INDENT = "   "
_MOST = 8  # findings that did not hold, told in a terminal; the page has all


def opening(record: AnalysisRecord, width: int = WIDTH) -> str:
    """What was compared, and the regions."""
    return f"{_compared(record, width)}\n\n{_regions(record, width)}"


def conclusions(record: AnalysisRecord, width: int = WIDTH) -> str:
    """Findings, the generative check, and what was not tested."""
    parts = [findings(record, width)]
    if record.generated:
        parts.append(_generated(record, width))
    if record.skipped:
        reasons: dict[str, list[str]] = {}
        for one in record.skipped:
            reasons.setdefault(one.reason, []).append(one.comparison)
        lines = [f"· {', '.join(names)}: {reason}" for reason, names in reasons.items()]
        parts.append("\n".join(["Not tested:", *(_filled(line, width) for line in lines)]))
    return "\n\n".join(parts)


def ordered(record: AnalysisRecord) -> list[Finding]:
    """Findings as they are told: the surest first, of equally sure ones the largest effect."""
    return sorted(record.findings, key=lambda one: (one.adjusted, -abs(one.validation.h), one.comparison))


def verdict(finding: Finding, alpha: float) -> str:
    return "validated" if finding.validated(alpha) else "not validated"


def effect(finding: Finding) -> str:
    """How well it tells the groups apart, and by how much."""
    found = finding.validation
    told = f"{found.metric} {found.score:.2f} [{found.low:.2f}–{found.high:.2f}]"
    groups = "of the first set and of the second" if finding.kind == "share" else "of the texts it is about and of the others"
    rates = f"{100 * found.positive_rate:.0f} % and {100 * found.negative_rate:.0f} % {groups}"
    return f"{told}; {rates} (n = {found.positives}, {found.negatives}); h {found.h:.2f}, {found.size}"


def summary(record: AnalysisRecord) -> str:
    """One line of what came out."""
    valid = sum(one.validated(record.alpha) for one in record.findings)
    return f"{valid} of {len(record.findings)} findings validated (FDR {record.alpha:g})"


def example_lines(record: AnalysisRecord, ids: Sequence[str], width: int = WIDTH) -> list[str]:
    """Texts in short, with their divergences."""
    known = {text.id: text for text in record.texts}
    lines = []
    for one in (known[name] for name in ids):
        told = "–" if one.divergence is None else f"{one.divergence:.3f}"
        lines.append(textwrap.shorten(f"{_INDENT}{told}  {printable(one.text)}", width, placeholder=" …", tabsize=1))
    return [line if line.startswith(_INDENT) else _INDENT + line for line in lines]


def _compared(record: AnalysisRecord, width: int) -> str:
    lines = [_filled(f"{name} = {key}: {told}", width) for name, (key, told) in record.cells.items()]
    counted = [
        ("texts", list(record.cells)),
        *((part, [str(record.counts[name][part]) for name in record.cells]) for part in PARTS),
    ]
    dealt = text_table(counted[0], [(f"to {name}", cells) for name, cells in counted[1:]], numbers=True, width=width)
    left = (
        f"\n{record.left_out} texts were left out: both sets are compared with as many of each prompt."
        if record.left_out
        else ""
    )
    return "\n".join([*lines, "", f"{record.prompts} prompts", dealt]) + left


def _regions(record: AnalysisRecord, width: int) -> str:
    if not record.regions:
        return "No clusters were found."
    names = list(record.cells)
    columns = [(f"texts {name}", [str(region.sizes[at]) for region in record.regions]) for at, name in enumerate(names)]
    measure = record.settings["measure"]
    columns += [
        (f"{measure} {name}", [_number(region.divergences[at]) for region in record.regions]) for at, name in enumerate(names)
    ]
    if len(names) == 2:
        columns += [
            (
                "own sizes",
                [" ".join("–" if size is None else str(size) for size in region.own_sizes) for region in record.regions],
            ),
            ("distance²", [_number(region.distance) for region in record.regions]),
        ]
    table = text_table(("name", [region.name for region in record.regions]), columns, numbers=True, width=width)
    examples = [line for region in record.regions for line in _examples(record, region, width)]
    return "\n".join([table, *(["", *examples] if examples else [])])


def _examples(record: AnalysisRecord, region: Region, width: int) -> list[str]:
    if not region.central:
        return []
    return [f"{region.name}, most central:", *example_lines(record, region.central, width)]


def findings(record: AnalysisRecord, width: int = WIDTH) -> str:
    """Every finding; those that were not validated in a line each."""
    blocks, others = [], []
    for finding in ordered(record):
        head = f"{finding.comparison}: {printable(finding.statement)}"
        sure = f"p {finding.validation.p:.4f}, adjusted {finding.adjusted:.4f}"
        if finding.validated(record.alpha):
            blocks.append("\n".join([_filled(f"✓ {head}", width), _filled(f"{_INDENT}{effect(finding)}", width),
                                     _filled(f"{_INDENT}{sure}{_missing(finding)}", width)]))  # fmt: skip
        else:
            others.append(_filled(f"· {head} ({sure})", width))
    if others:
        rest = [f"and {len(others) - _MOST} more"] if len(others) > _MOST else []
        blocks.append("\n".join(["Not validated:", *others[:_MOST], *rest]))
    return "\n\n".join([f"{summary(record)}:", *blocks])


def _generated(record: AnalysisRecord, width: int) -> str:
    lines = ["Generative check (do the models find such texts likelier, as the sets did?):"]
    for one in record.generated:
        told = "confirmed" if one.confirms(record.alpha) else "not confirmed"
        lines.append(_filled(
            f"{printable(one.statement)}: {told}; r {one.pearson:+.2f}, auc {one.auc:.2f}, {one.texts} texts, p {one.p:.4f}, "
            f"adjusted {one.adjusted:.4f}", width))  # fmt: skip
    return "\n".join(lines)


def _missing(finding: Finding) -> str:
    return f"; {finding.unanswered} not answered by the judge" if finding.unanswered else ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _filled(text: str, width: int) -> str:
    indent = _INDENT if text.startswith((_INDENT, "✓", "·")) else ""
    return textwrap.fill(text.strip() if not indent else text, width, subsequent_indent=_INDENT, break_on_hyphens=False)
