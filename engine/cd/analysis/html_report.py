"""An analysis as one page: findings with effects, regions with their texts, pictures. Everything is escaped. No torch."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from engine.cd.analysis.analysis import AnalysisRecord
from engine.cd.analysis.report import effect, ordered, summary, verdict
from engine.plots.page import escaped, page, table

_LISTS = (("central", "most central"), ("high", "highest divergence"), ("low", "lowest divergence"))


def analysis_page(record: AnalysisRecord, drawn: Mapping[str, bytes]) -> str:
    """drawn: name → SVG."""
    title = f"Analysis {record.key}"
    cells = [[name, key, told] for name, (key, told) in record.cells.items()]
    parts = [
        f"<h1>{escaped(title)}</h1>",
        table(("set", "cell", "texts"), cells),
        f"<p class=note>{escaped(_parts(record))}</p>",
        f"<h2>{escaped(summary(record))}</h2>",
        table(
            ("finding", "about", "effect", "p", "adjusted", "verdict"),
            ([one.statement, one.comparison, effect(one), f"{one.validation.p:.4f}", f"{one.adjusted:.4f}",
              verdict(one, record.alpha)] for one in ordered(record)),
        ),
        *(_picture(name, svg) for name, svg in drawn.items()),
        *_regions(record),
        *_generated(record),
    ]  # fmt: skip
    if record.skipped:
        parts += [
            "<h2>Not tested</h2>",
            table(("comparison", "why"), ([one.comparison, one.reason] for one in record.skipped)),
        ]
    options = ([name, str(value)] for name, value in record.settings.items())
    parts.append(f"<details><summary>settings</summary>{table(('option', 'value'), options)}</details>")
    return page(title, "\n".join(parts))


def _parts(record: AnalysisRecord) -> str:
    dealt = [
        f"{name}: " + ", ".join(f"{count} to {part}" for part, count in own.items()) for name, own in record.counts.items()
    ]
    return f"{record.prompts} prompts; texts of {'; of '.join(dealt)}. All texts of a prompt are in one part."


def _regions(record: AnalysisRecord) -> list[str]:
    known = {text.id: text for text in record.texts}
    parts = ["<h2>Regions</h2>"] if record.regions else []
    for region in record.regions:
        told = [f"{name}: {size} texts" for name, size in zip(record.cells, region.sizes, strict=True)]
        if region.distance is not None:
            told.append(f"squared distance of the matched clusters {region.distance:.3f}")
        parts += [f"<h3>{escaped(region.name)}</h3>", f"<p class=note>{escaped('; '.join(told))}</p>"]
        rows = [
            [title, "–" if (value := known[name].divergence) is None else f"{value:.4f}", known[name].prompt, known[name].text]
            for field, title in _LISTS
            for name in getattr(region, field)
        ]
        if rows:
            parts.append(table(("", str(record.settings["measure"]), "prompt", "text"), rows))
    return parts


def _generated(record: AnalysisRecord) -> list[str]:
    if not record.generated:
        return []
    rows = (
        [one.statement, str(one.texts), f"{one.pearson:+.3f}", f"{one.auc:.3f}", f"{one.p:.4f}", f"{one.adjusted:.4f}",
         "confirmed" if one.confirms(record.alpha) else "not confirmed"]
        for one in record.generated
    )  # fmt: skip
    return ["<h2>Generative check</h2>", table(("statement", "texts", "Pearson", "auc", "p", "adjusted", "verdict"), rows)]


def _picture(name: str, svg: bytes) -> str:
    drawn = base64.b64encode(svg).decode()
    return f'<h2>{escaped(name.capitalize())}</h2><img alt="{escaped(name)}" src="data:image/svg+xml;base64,{drawn}">'
