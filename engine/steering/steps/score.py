"""`tiller steer score`: judge every answer of a sweep that this scorer has not judged yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.errors import EngineError
from engine.identity import resolve_model
from engine.judges.local import demo_rubric, scorer_name
from engine.judges.rubric import Rubric
from engine.judges.verdict import Subject
from engine.progress import Progress
from engine.steering.experiment import all_cells, open_experiment
from engine.steering.settings import ScoreSettings
from engine.store import (
    Response,
    Score,
    Segment,
    append_records,
    note_artifact,
    read_responses,
    read_scores,
    scores_folder,
    writer_name,
)


def run(settings: ScoreSettings) -> str:
    experiment = open_experiment(settings)
    rubric = demo_rubric(settings.behavior)
    own, random = all_cells(experiment, settings.apply_settings(), experiment.vectors_header())
    judge = resolve_model(settings.judge)
    scorer = scorer_name(settings.judge, rubric, judge.identity)
    known = read_scores(experiment.workspace, scorer)
    answers = [answer for cell in (*own, *random) for answer in read_responses(experiment.workspace, cell.key).values()]
    if not answers:
        raise EngineError(
            f"There are no answers about '{settings.behavior}' to score for these settings; "
            "run `tiller steer apply` with the same options first."
        )
    pending = [answer for answer in answers if ((answer.id,), (answer.text_sha256,), None) not in known]
    if not pending:
        return f"score {settings.behavior}: already there, {len(answers)} answers by {scorer}"
    from engine.models import load_source  # torch, a second or more: only when there is something to compute

    model = load_source(judge, device_map=settings.device_map)
    labels: Counter[str] = Counter()
    with (
        Segment(scores_folder(experiment.workspace, scorer), writer_name()) as segment,
        Progress(f"score {settings.behavior}: answers", len(pending)) as progress,
    ):
        for one in _judged(model, rubric, pending, scorer, settings.judge_batch_size):
            append_records(segment, [one])
            labels[one.label] += 1
            progress.advance()
    if segment.path is not None:
        note_artifact(experiment.workspace, segment.path, "scores", scorer)
    counts = ", ".join(f"{count} {label}" for label, count in sorted(labels.items()))
    return f"score {settings.behavior}: {len(pending)} answers judged ({counts}) by {scorer}"


def _judged(model, rubric: Rubric, pending: Sequence[Response], scorer: str, batch_size: int):
    from engine.judges.local import verdicts

    subjects = [Subject(answer.prompt, (answer.text,)) for answer in pending]
    for index, verdict in verdicts(model, rubric, subjects, batch_size):
        answer = pending[index]
        yield Score((answer.id,), (answer.text_sha256,), None, verdict.value, verdict.label, verdict.raw, scorer)
