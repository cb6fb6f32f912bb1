"""`tiller steer score`: judge every answer of a sweep that this scorer has not judged yet."""

from __future__ import annotations

from engine.errors import EngineError, InputError
from engine.judges.judge import fitting_rubric, no_rubric, open_judge
from engine.judges.scoring import describe, score, singles
from engine.steering.experiment import all_cells, open_experiment, unsteered
from engine.steering.settings import ScoreSettings
from engine.store import read_responses


def run(settings: ScoreSettings) -> str:
    experiment = open_experiment(settings)
    workspace, behavior = experiment.workspace, settings.behavior
    rubric = fitting_rubric(settings, settings.dataset, behavior, workspace)
    if rubric is None:
        raise no_rubric(behavior, workspace)
    if rubric.kind == "pair":
        raise InputError(f"Rubric {rubric.id} compares two answers; use `tiller judge compare`, or another --rubric.")
    sweep = settings.apply_settings()
    own, controls = all_cells(experiment, sweep)
    keys = dict.fromkeys(cell.key for cell in (*own, *controls, unsteered(experiment, sweep)))
    targets = singles(answer for key in keys for answer in read_responses(workspace, key).values())
    if not targets:
        raise EngineError(
            f"There are no answers about '{behavior}' to score for these settings; "
            "run `tiller steer apply` with the same options first."
        )
    judge = open_judge(settings, rubric, workspace)
    outcome = score(workspace, judge, targets, settings.again, f"score {behavior}: answers")
    return f"score {behavior}: {describe(outcome, judge, 'answers')}"
