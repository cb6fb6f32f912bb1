"""`tiller cd pipeline`: propose, test, learn, and again, until a rule says stop."""

from __future__ import annotations

from engine.cd.pipeline.charts import charts
from engine.cd.pipeline.report import headline
from engine.cd.pipeline.session import open_session
from engine.cd.pipeline.settings import PipelineSettings
from engine.cd.pipeline.terminal import show_report


def run(settings: PipelineSettings) -> str:
    session = open_session(settings)
    report, recalled = session.report()
    if settings.show:
        show_report(report, charts(report))
    found = f" ({recalled} stages were there already)" if recalled else ""
    where = session.workspace.relative(session.folder / "report.html")
    return f"pipeline {headline(report)}; stopped: {report['stopped']}{found} → {where}"
