"""`tiller steer report`: several behaviours' sweeps one below the other; with `--html` one page of everything about them."""

from __future__ import annotations

from engine.plots import CurvePicture, show
from engine.steering.figures.measured import nothing_to_draw, open_sweep
from engine.steering.figures.settings import ReportSettings
from engine.steering.figures.several import figure_key, save_page
from engine.steering.figures.sweep import COST_LABEL, sweep_panels
from engine.steering.figures.told import told


def run(settings: ReportSettings) -> str:
    sweeps = [open_sweep(each) for each in settings.each()]
    panels = [sweep_panels(sweep) for sweep in sweeps]
    if not any(panels):
        raise nothing_to_draw(settings.behaviors, "report")
    for each in panels:
        if each:
            show(CurvePicture(tuple(each)), told(settings))
    rises = ", ".join(
        f"{panel.title.partition(',')[0]} {panel.curves[0].points[-1].mean - panel.curves[0].points[0].mean:+.2f}"
        for each in panels
        for panel in each
        if panel.y_label != COST_LABEL
    )
    said = f"report: from the lowest to the highest multiplier: {rises}"
    if not settings.html:
        return said
    from engine.steering.figures.report import report_page

    workspace = sweeps[0].experiment.workspace
    content = report_page(settings, list(zip(sweeps, panels, strict=True)))
    path = save_page(workspace, f"report-{'-'.join(settings.behaviors)}", figure_key(settings, sweeps), content)
    return f"{said}\nreport: {workspace.relative(path)}"
