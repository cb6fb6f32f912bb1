"""A report as one self-contained page, charts inside. Text of models and data is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from engine.cd.pipeline.report import Report, by_strength, headline, legend, verdict
from engine.plots.page import escaped, html_table, page


def report_page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """pictures: name → PNG."""
    models, spent = report["models"], report["spent"]
    title = f"How {models['starting']} differs from {models['comparison']}"
    body = [f"<h1>{escaped(title)}</h1><p>{escaped(headline(report))}. Stopped: {escaped(report['stopped'])}.</p>"]
    if spent["unread_replies"]:
        body.append(f"<p class=warning>{spent['unread_replies']} replies of the assistant could not be read.</p>")
    body.append(
        f"<p class=note>{spent['requests']} requests, {spent['tokens']} tokens, {spent['texts']} texts. Hypotheses by "
        f"{escaped(report['assistant'] or 'counting')}. Run <code>{escaped(report['run'])}</code>.</p>"
    )
    rows = [
        [one["id"], f"<b>{one['status']}</b>", escaped(one["text"]), f"{escaped(verdict(one))}<br>{escaped(one['reason'])}"]
        for one in by_strength(report)
    ]
    body += ["<h2>Hypotheses</h2>", f"<p class=note>{escaped(legend(report))}</p>"]
    body.append(html_table(("", "status", "claim", "test on held-out prompts, and what suggested it"), rows))
    for name, content in pictures.items():
        data = base64.b64encode(content).decode()
        body.append(f'<p><img alt="{escaped(name)}" src="data:image/png;base64,{data}"></p>')
    body.append("<h2>What each cycle found</h2>")
    body.append("<ol>" + "".join(f"<li>{escaped(told)}</li>" for told in report["knowledge"]) + "</ol>")
    body += _survey(report)
    if report["topics"] is not None:
        told = ([escaped(topic), escaped(summary)] for topic, summary in report["topics"]["summaries"].items())
        body += ["<h2>Topics</h2>", html_table(("topic", "summary"), list(told))]
    known = [one for one in report["prompts"] if one["divergence"] is not None]
    ranked = sorted(known, key=lambda one: (-one["divergence"], one["id"]))
    shown = [[f"{one['divergence']:.3f}", str(one["cycle"]), escaped(one["source"]), escaped(one["text"])] for one in ranked]
    ranking = html_table(("divergence", "cycle", "from", "prompt"), shown)
    body.append(f"<details><summary>{len(shown)} explored prompts</summary>{ranking}</details>")
    options = [[escaped(name), escaped(str(value))] for name, value in sorted(report["settings"].items())]
    body.append(f"<details><summary>settings</summary>{html_table(('option', 'value'), options)}</details>")
    return page(title, "\n".join(body))


def _survey(report: Report) -> list[str]:
    survey = report["survey"]
    if survey is None:
        return []
    rows = []
    for cluster in survey["clusters"]:
        said = cluster["said"] or {"theme": "could not be read", "difference": ""}
        rows.append([str(cluster["prompts"]), escaped(said["theme"]), escaped(said["difference"])])
    parts = ["<h2>First look</h2>", html_table(("prompts", "theme", "high against low divergence"), rows)]
    for name, values in (survey["overall"] or {}).items():
        if values and name != "prompts":
            parts.append(f"<h3>{escaped(name)}</h3><ul>{''.join(f'<li>{escaped(value)}</li>' for value in values)}</ul>")
    return parts
