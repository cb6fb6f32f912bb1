"""`tiller steer report`: table and curves of several behaviours' sweeps, one below the other."""

from __future__ import annotations

from engine.steering.figures import sweep_panels
from engine.steering.settings import ReportSettings
from engine.steering.steps.plot import show


def run(settings: ReportSettings) -> str:
    panels = [panel for plot in settings.plots() for panel in sweep_panels(plot).panels]
    for panel in panels:
        show(panel)
    rises = ", ".join(
        f"{panel.title.partition(',')[0]} {panel.curves[0].points[-1].mean - panel.curves[0].points[0].mean:+.2f}"
        for panel in panels
    )
    return f"report: from the lowest to the highest multiplier: {rises}"
