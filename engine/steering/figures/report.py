"""One page that tells all about several sweeps: what was asked of which model, what came out, what it cost, and what to doubt.

Owns the page's content. Everything from data and models is escaped, and the page's policy forbids scripts. Pictures are
inside it as SVG, so that the file can be sent. No torch.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from engine.plots.curves import CurvePicture, Panel
from engine.plots.page import escaped, page, table
from engine.steering.figures.doubts import doubts
from engine.steering.figures.measured import Sweep
from engine.steering.figures.samples import shown_answers
from engine.steering.figures.settings import ReportSettings
from engine.steering.figures.sweep import where
from engine.steering.figures.told import TOLD, said


def report_page(settings: ReportSettings, sweeps: Sequence[tuple[Sweep, Sequence[Panel]]]) -> str:
    title = f"Steering of {settings.model}: {', '.join(settings.behaviors)}"
    parts = [f"<h1>{escaped(title)}</h1>", _links(sweeps)]
    warnings = [f"{sweep.behavior}: {doubt}" for sweep, panels in sweeps for doubt in doubts(sweep, panels)]
    if warnings:
        parts += ["<h2>What to keep in mind</h2>", *(f'<p class="warning">{escaped(one)}</p>' for one in warnings)]
    parts += ["<h2>What was done</h2>", _done(settings, sweeps)]
    for sweep, panels in sweeps:
        parts.append(f'<h2 id="{escaped(sweep.behavior)}">{escaped(sweep.behavior)}</h2>')
        parts += [_origin(sweep), _layer(sweep), *_drawn(sweep, panels), _answers(sweep, settings.shown)]
    return page(title, "\n".join(parts))


def _links(sweeps: Sequence[tuple[Sweep, Sequence[Panel]]]) -> str:
    links = (f'<a href="#{escaped(sweep.behavior)}">{escaped(sweep.behavior)}</a>' for sweep, _ in sweeps)
    return f'<p class="note">{" · ".join(links)}</p>'


def _done(settings: ReportSettings, sweeps: Sequence[tuple[Sweep, Sequence[Panel]]]) -> str:
    """The model and what decides the sweep; settings at their defaults are folded away."""
    fields = type(settings).model_fields
    first = sweeps[0][0].experiment
    rows = [("model", settings.model), ("identity of its weights", first.source.identity)]
    rows.append(("multipliers", ", ".join(f"{at:g}" for at in settings.multipliers)))
    own, usual = [], []
    for name in (name for name in TOLD if name in fields):
        value = getattr(settings, name)
        row = (name.replace("_", " "), said(value))
        (own if value != fields[name].default else usual).append(row)
    folded = f"<details><summary>settings at their defaults</summary>{_rows(usual)}</details>" if usual else ""
    return _rows([*rows, *own]) + folded


def _origin(sweep: Sweep) -> str:
    """The data, by count and hash, the vectors, and the judge."""
    data = sweep.experiment.data
    classes = ", ".join(f"{len(examples)} {name}" for name, examples in data.contrast.classes.items())
    counts = [("A/B items", data.test.items), ("open prompts", data.test.prompts)]
    asked = ", ".join(f"{len(records)} {name}" for name, records in counts if records)
    rows = [
        ("contrast", f"{classes}; the vector is that of '{data.contrast.target}' (data {data.contrast.hash()})"),
        ("test questions", f"{asked or 'none'} (data {data.test.hash()})"),
        ("vectors", sweep.experiment.workspace.relative(sweep.experiment.vectors_path)),
    ]
    judged = sorted({measure.standing for measure in sweep.measures if measure.standing})
    if sweep.judge:
        rows.append(("scorer", sweep.judge.scorer))
    return _rows([*rows, *(("judge's standing", one) for one in judged)])


def _layer(sweep: Sweep) -> str:
    """Which layers were steered, and how the chosen one was chosen."""
    steered = "; ".join(where(own[0]) for _, own, _ in sweep.at_layers())
    told = [f"Steered: {steered}."]
    path = sweep.experiment.vectors_path
    choice = sweep.experiment.vectors_header()["choices"].get(sweep.settings.site) if path.is_file() else None
    if choice is None:
        return f"<p>{escaped(told[0])} No layer was chosen on validation data.</p>"
    by = "probability of the matching letter" if choice["by"] == "ab" else "share of answers that the judge said yes to"
    told.append(
        f"Layer {choice['layer']} was chosen on {choice['questions']} validation questions: there the {by} rises most from "
        "−1 to +1 times the vector."
    )
    rises = [f"{rise:+.3f}" for rise in choice["rises"]]
    heads = ["layer", *(str(layer) for layer in range(len(rises)))]
    return f"<p>{escaped(' '.join(told))}</p>{table(heads, [['rise', *rises]], 'number')}"


def _drawn(sweep: Sweep, panels: Sequence[Panel]) -> list[str]:
    """Each panel as a picture, its numbers below."""
    parts = []
    for panel in panels:
        picture = base64.b64encode(CurvePicture((panel,)).drawn()["svg"]).decode()
        parts.append(f"<h3>{escaped(panel.title.removeprefix(f'{sweep.behavior}: '))}</h3>")
        parts.append(f'<img alt="{escaped(panel.title)}" src="data:image/svg+xml;base64,{picture}">')
        heads = ["× v", *(curve.name for curve in panel.curves)]
        rows = []
        for x in panel.xs():
            points = [next((point for point in curve.points if point.x == x), None) for curve in panel.curves]
            cells = [f"{at.mean:.3f} [{at.low:.3f}–{at.high:.3f}], n = {at.units}" if at else "–" for at in points]
            rows.append([panel.x_text(x), *cells])
        parts.append(f"<details open><summary>{escaped(panel.y_label)}</summary>{table(heads, rows, 'number')}</details>")
    return parts or ['<p class="note">Nothing has been measured for these settings.</p>']


def _answers(sweep: Sweep, most: int) -> str:
    """Answers to the same prompts side by side, with what the judge said of each."""
    found = shown_answers(sweep, most)
    if not found:
        return ""
    columns = list(dict.fromkeys(at for row in found for at in row.answers))
    heads = ["prompt", *columns]
    rows = []
    for row in found:
        cells = []
        for at in columns:
            answer = row.answers.get(at)
            said = f' <span class="score">{escaped(answer.said)}</span>' if answer and answer.said else ""
            cells.append(f'<td class="text">{escaped(answer.text) if answer else "–"}{said}</td>')
        rows.append(f'<tr><td class="text">{escaped(row.prompt)}</td>{"".join(cells)}</tr>')
    heading = f"<h3>answers, {escaped(found[0].where)}</h3>"
    top = "".join(f"<th>{escaped(head)}</th>" for head in heads)
    return f'{heading}<div class="scroll"><table><tr>{top}</tr>{"".join(rows)}</table></div>'


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><th>{escaped(name)}</th><td>{escaped(value)}</td></tr>" for name, value in rows)
    return f'<div class="scroll"><table>{"".join(cells)}</table></div>'
