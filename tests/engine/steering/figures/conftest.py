"""A workspace with a vectors file and records of our own numbers: figures are checked against these, no model is asked."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.families import Site
from engine.steering.capability import asked_passages
from engine.steering.experiment import Cell, Experiment, all_cells, open_experiment
from engine.steering.figures.settings import PlotSettings
from engine.steering.measures import ab_schema, capability_schema
from engine.store import (
    Response,
    Score,
    Segment,
    append_records,
    response_id,
    responses_folder,
    save_tensors,
    scores_folder,
    text_hash,
    write_measurements,
)

LAYERS, HIDDEN = 4, 8


class Bench:
    """Writes what the steps would have written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def experiment(self, settings: Any) -> Experiment:
        return open_experiment(settings)

    def vectors(self, settings: Any, layers: torch.Tensor | None = None, choice: int | None = 2) -> Experiment:
        """layers: [layers, hidden], the stream's vectors."""
        experiment = open_experiment(settings)
        made = torch.ones(LAYERS, HIDDEN) if layers is None else layers
        names = [Site(layer).name for layer in range(len(made))]
        chosen = {"layer": choice, "by": "ab", "rises": [0.1, 0.2, 0.9, 0.3], "questions": 80}
        header = {
            "layers": len(made),
            "hidden_size": made.shape[1],
            "norms": dict.fromkeys(names, 1.0),
            "activation_norms": dict.fromkeys(names, 10.0),
            "shuffled": 3,
            "choice": None if choice is None else chosen,
            "choices": {} if choice is None else {"stream": chosen},
        }
        save_tensors(experiment.vectors_path, dict(zip(names, made.float(), strict=True)), header)
        return experiment

    def activations(self, experiment: Experiment, site: Site, classes: Mapping[str, torch.Tensor], letters: Any) -> None:
        notes = {
            name: {"ids": [f"{name}-{n}" for n in range(len(states))], "letters": letters[name]}
            for name, states in classes.items()
        }
        save_tensors(experiment.activations_path(site), {k: v.float() for k, v in classes.items()}, {"examples": notes})

    def cells(self, settings: PlotSettings) -> list[Cell]:
        own, controls = all_cells(open_experiment(settings), settings.apply_settings())
        return [*own, *controls]

    def letters(self, experiment: Experiment, cell: Cell, rows: list[tuple[str, str, float, float, str | None]], kind="ab"):
        """rows: (item, key, p_a, p_b, category)."""
        records = [
            {"item_id": item, "multiplier": cell.multiplier, "matching": key, "p_a": a, "p_b": b,
             "p_matching": (a if key == "A" else b) / (a + b), "lead_in_weights": [1.0], "category": category}
            for item, key, a, b, category in rows
        ]  # fmt: skip
        write_measurements(experiment.workspace, kind, cell.key, "w", records, ab_schema())

    def passages(self, experiment: Experiment, cell: Cell, rows: list[tuple[int, float, int]]) -> None:
        """rows: (number of the passage, nll, tokens)."""
        ids = [passage.id for passage in asked_passages(experiment, PlotSettings())]
        records = [
            {"passage_id": ids[number], "multiplier": cell.multiplier, "nll": nll, "tokens": tokens}
            for number, nll, tokens in rows
        ]
        write_measurements(experiment.workspace, "capability", cell.key, "w", records, capability_schema())

    def answers(self, experiment: Experiment, cell: Cell, scorer: str, given: Callable[[str, int], tuple[str, bool | None]]):
        """given(prompt id, sample) → (text, verdict)."""
        prompts = experiment.data.test.prompts
        with (
            Segment(responses_folder(experiment.workspace, cell.key), "w") as texts,
            Segment(scores_folder(experiment.workspace, scorer), "w") as verdicts,
        ):
            for prompt in prompts:
                for sample in range(cell.settings.samples):
                    text, verdict = given(prompt.id, sample)
                    name, sha = response_id(cell.key, prompt.id, sample), text_hash(text)
                    question = prompt.chat[-1].content
                    append_records(texts, [Response(name, cell.key, prompt.id, question, sample, 0, text, sha, "stop", 3)])
                    label = {True: "yes", False: "no", None: "unparsed"}[verdict]
                    value = None if verdict is None else float(verdict)
                    append_records(verdicts, [Score((name,), (sha,), None, value, label, None, scorer)])

    def csv(self, stem: str) -> list[dict[str, str]]:
        (path,) = [one for one in (self.root / "artifacts/plots").glob("*.csv") if one.name.rpartition("-")[0] == stem]
        return list(csv.DictReader(io.StringIO(path.read_text())))

    def files(self, stem: str) -> set[str]:
        return {one.suffix for one in (self.root / "artifacts/plots").iterdir() if one.name.rpartition("-")[0] == stem}


@pytest.fixture
def records(tmp_path, monkeypatch) -> Bench:
    for part in ("runs", "logs", "artifacts"):
        (tmp_path / part).mkdir()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    for name in ("TILLER_RUN", "TILLER_TASK", "TILLER_ATTEMPT_ID", "TILLER_ARTIFACTS", "TILLER_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    return Bench(tmp_path)
