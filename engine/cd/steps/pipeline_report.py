"""`tiller cd pipeline report`: what a run found, from its record on disk."""

from __future__ import annotations

import json

from engine.cd.pipeline.charts import charts
from engine.cd.pipeline.folders import report_path
from engine.cd.pipeline.report import headline
from engine.cd.pipeline.settings import PipelineReportSettings
from engine.cd.pipeline.terminal import show_report
from engine.errors import EngineError
from engine.workspace import find_workspace


def run(settings: PipelineReportSettings) -> str:
    workspace = find_workspace()
    path = report_path(workspace, settings.run)
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EngineError(
            f"{path} is not JSON ({error}); give the run's own command again, it writes the file anew."
        ) from error
    show_report(report, charts(report))
    return f"pipeline {headline(report)}; stopped: {report['stopped']} → {workspace.relative(path.with_suffix('.html'))}"
