"""A report as one self-contained page, charts inside. Text of models and data is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

from engine.cd.pipeline.report import Report, by_strength, headline, legend, verdict
from engine.plots.page import page
from engine.printable import printable


def report_page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """pictures: name → PNG."""
    models, spent = report["models"], report["spent"]
    title = f"How {models['starting']} differs from {models['comparison']}"
    body = [f"<h1>{_safe(title)}</h1><p>{_safe(headline(report))}. Stopped: {_safe(report['stopped'])}.</p>"]
    if spent["unread_replies"]:
        body.append(f"<p class=warning>{spent['unread_replies']} replies of the assistant could not be read.</p>")
    body.append(
        f"<p class=note>{spent['requests']} requests, {spent['tokens']} tokens, {spent['texts']} texts. Hypotheses by "
        f"{_safe(report['assistant'] or 'counting')}. Run <code>{_safe(report['run'])}</code>.</p>"
    )
    rows = [
        [one["id"], f"<b>{one['status']}</b>", _safe(one["text"]), f"{_safe(verdict(one))}<br>{_safe(one['reason'])}"]
        for one in by_strength(report)
    ]
    body += ["<h2>Hypotheses</h2>", f"<p class=note>{_safe(legend(report))}</p>"]
    body.append(_table(("", "status", "claim", "test on held-out prompts, and what suggested it"), rows))
    for name, content in pictures.items():
        data = base64.b64encode(content).decode()
        body.append(f'<p><img alt="{_safe(name)}" src="data:image/png;base64,{data}"></p>')
    body.append("<h2>What each cycle found</h2>")
    body.append("<ol>" + "".join(f"<li>{_safe(told)}</li>" for told in report["knowledge"]) + "</ol>")
    body += _survey(report)
    if report["topics"] is not None:
        told = ([_safe(topic), _safe(summary)] for topic, summary in report["topics"]["summaries"].items())
        body += ["<h2>Topics</h2>", _table(("topic", "summary"), list(told))]
    known = [one for one in report["prompts"] if one["divergence"] is not None]
    ranked = sorted(known, key=lambda one: (-one["divergence"], one["id"]))
    shown = [[f"{one['divergence']:.3f}", str(one["cycle"]), _safe(one["source"]), _safe(one["text"])] for one in ranked]
    table = _table(("divergence", "cycle", "from", "prompt"), shown)
    body.append(f"<details><summary>{len(shown)} explored prompts</summary>{table}</details>")
    options = [[_safe(name), _safe(str(value))] for name, value in sorted(report["settings"].items())]
    body.append(f"<details><summary>settings</summary>{_table(('option', 'value'), options)}</details>")
    return page(title, "\n".join(body))


def _survey(report: Report) -> list[str]:
    survey = report["survey"]
    if survey is None:
        return []
    rows = []
    for cluster in survey["clusters"]:
        said = cluster["said"] or {"theme": "could not be read", "difference": ""}
        rows.append([str(cluster["prompts"]), _safe(said["theme"]), _safe(said["difference"])])
    parts = ["<h2>First look</h2>", _table(("prompts", "theme", "high against low divergence"), rows)]
    for name, values in (survey["overall"] or {}).items():
        if values and name != "prompts":
            parts.append(f"<h3>{_safe(name)}</h3><ul>{''.join(f'<li>{_safe(value)}</li>' for value in values)}</ul>")
    return parts


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML."""
    top = "".join(f"<th>{_safe(one)}</th>" for one in head)
    lines = "".join(f"<tr>{''.join(f'<td class=text>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{top}</tr>{lines}</table></div>"


def _safe(text: str) -> str:
    return html.escape(printable(text))
