"""One `tiller cd pipeline`: from settings to a run, and from its findings to the report on disk.

Owns who takes part, the run's key and folder, and the end of a command. The course of a run is `run.py`'s business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.assistants.assistant import Assistant, open_assistant
from engine.assistants.raw_replies import RawReplies
from engine.atomic import write_whole
from engine.cd.alone import alone
from engine.cd.pipeline.asking import Asker
from engine.cd.pipeline.assisting import AssistantProposer
from engine.cd.pipeline.charts import charts
from engine.cd.pipeline.experiments import FEWEST, Laboratory
from engine.cd.pipeline.folders import REPORT, runs_folder
from engine.cd.pipeline.html import report_page
from engine.cd.pipeline.journal import Budget, Journal, Limits
from engine.cd.pipeline.judging import AskedJudge, NoJudge
from engine.cd.pipeline.proposing import DataProposer
from engine.cd.pipeline.report import Report, markdown, report_of
from engine.cd.pipeline.run import Course, Run
from engine.cd.pipeline.settings import PipelineSettings
from engine.cd.pipeline.splits import is_held_out
from engine.cd.pipeline.stopping import Rules
from engine.cd.pipeline.texts import PairTexts, observation
from engine.cd.pipeline.topics import AskedTopics, WordTopics
from engine.cd.pipeline.view import Observation, Texts
from engine.cd.prompts.asked import AskedPrompt, asked_prompt, read_prompts
from engine.cd.texts.decoder import Decoder, open_decoder
from engine.cd.texts.records import read_cells, read_texts
from engine.errors import EngineError, InputError
from engine.plots import save_picture
from engine.store import Segment, note_artifact, read_catalog, record_cell, writer_name
from engine.workspace import Workspace


@dataclass(frozen=True)
class Session:
    """Who takes part in a run, and where it is kept."""

    settings: PipelineSettings
    workspace: Workspace
    decoder: Decoder
    assistant: Assistant | None
    judge: Assistant | None
    pool: Sequence[AskedPrompt]
    earlier: Texts
    inputs: Mapping[str, str]
    key: str

    @property
    def folder(self) -> Path:
        return runs_folder(self.workspace) / self.key

    def report(self) -> tuple[Report, int]:
        """Do what is left of the run, and write its report → the report, and how many stages were there already."""
        with alone(self.folder, f"run {self.key}"):
            return self._done()

    def _done(self) -> tuple[Report, int]:
        settings = self.settings
        budget = Budget(Limits(settings.max_requests, settings.max_total_tokens, settings.max_texts), settings.samples)
        writer = writer_name()
        replies = self.folder / "replies"
        with Segment(self.folder, writer) as stages, Segment(replies, writer) as said:
            journal = Journal(self.folder, stages, budget)
            source = PairTexts(self.decoder, settings, budget, self.earlier)
            asker = self._asker(self.assistant, replies, said, budget)
            asked_judge = self._asker(self.judge or self.assistant, replies, said, budget)
            laboratory = Laboratory(
                source,
                AskedJudge(asked_judge) if asked_judge else NoJudge(),
                self.pool,
                held_out=settings.held_out,
                most=settings.test_prompts,
                permutations=settings.permutations,
                seed=settings.seed,
            )
            topics = AskedTopics(asker) if asker else WordTopics()
            run = Run(
                _course(settings),
                journal,
                source,
                AssistantProposer(asker, settings.experiment_prompts) if asker else DataProposer(),
                laboratory,
                topics,
                self.pool,
                first=self.earlier.keys(),
            )
            findings = run.go()
        for segment in (stages, said):
            if segment.path is not None:
                note_artifact(self.workspace, segment.path, "pipeline", self.key)
        report = report_of(self._about(source), findings, run.prompts, budget, topics.how)
        self._write(report)
        if self.assistant is not None and not report["hypotheses"] and budget.spent.unread:
            raise EngineError(
                f"No hypothesis of {self.assistant.name} could be read, {budget.spent.unread} replies were of no use even "
                "after a repair, and nothing was tested; use another --assistant, or none. What there is was kept in "
                f"{self.workspace.relative(self.folder)}."
            )
        return report, journal.recalled

    def _asker(self, who: Assistant | None, folder: Path, segment: Segment, budget: Budget) -> Asker | None:
        if who is None:
            return None
        settings = self.settings
        raw = RawReplies(folder, who, segment)
        return Asker(raw, budget, settings.assistant_temperature, settings.assistant_max_tokens, settings.seed)

    def _about(self, source: PairTexts) -> dict[str, Any]:
        pair = self.decoder.source
        return {
            "run": self.key,
            "models": {"starting": pair.starting.name, "comparison": pair.comparison.name},
            "assistant": self.assistant.identity if self.assistant else None,
            "judge": self.judge.identity if self.judge else None,
            "cells": source.cells,
            "settings": reported_settings(self.settings),
        }

    def _write(self, report: Report) -> None:
        record_cell(self.workspace, self.key, self.settings, self.inputs)
        pictures = {
            name: save_picture(self.workspace, f"pipeline-{name}", self.key, picture).with_suffix(".png").read_bytes()
            for name, picture in charts(report).items()
        }
        contents = {
            REPORT: json.dumps(report, ensure_ascii=False, indent=1) + "\n",
            "report.md": markdown(report),
            "report.html": report_page(report, pictures),
        }
        for name, content in contents.items():
            write_whole(self.folder / name, content.encode())
            note_artifact(self.workspace, self.folder / name, "pipeline", self.key)


def open_session(settings: PipelineSettings) -> Session:
    """Everything that a run needs, each part found before a model is loaded or anybody is asked."""
    _check(settings)
    decoder = open_decoder(settings, "pipeline")
    workspace = decoder.workspace
    asked = settings.assistant_settings()
    assistant = open_assistant(asked) if asked else None
    judging = settings.judge_settings()
    judge = open_assistant(judging) if judging else None
    cell, earlier = _earlier(settings, decoder)
    pool = list(read_given(settings, decoder)) if settings.prompt or settings.prompts or not earlier else []
    prompts = {prompt.id: prompt for prompt in pool} | {name: asked_prompt(texts[0].prompt) for name, texts in earlier.items()}
    held_out = sum(is_held_out(name, settings.held_out) for name in prompts)
    if min(held_out, len(prompts) - held_out) < FEWEST:
        raise InputError(
            f"Of {len(prompts)} prompts {held_out} test and {len(prompts) - held_out} suggest hypotheses, and {FEWEST} of each "
            "are needed; give more prompts, or another --held-out."
        )
    told = {
        "prompts": hashlib.sha256(" ".join(sorted(prompts)).encode()).hexdigest()[:16],
        "assistant": assistant and assistant.identity,
        "judge": judge and judge.identity,
        "cell": cell,
    }
    inputs = decoder.source.inputs() | {name: value for name, value in told.items() if value}
    key = settings.key(**inputs)
    return Session(settings, workspace, decoder, assistant, judge, list(prompts.values()), earlier, inputs, key)


def read_given(settings: PipelineSettings, decoder: Decoder) -> Sequence[AskedPrompt]:
    return read_prompts(settings, decoder.source.tokenizer() if settings.prompt_tokens is not None else None)


def reported_settings(settings: PipelineSettings) -> dict[str, Any]:
    """What a reader of a report wants to know of them: all that decides texts or tests."""
    names = {*settings.decisive_fields(), *_ALWAYS}
    return {name: value for name, value in settings.record().items() if name in names}


_ALWAYS = ("rule", "measure", "samples", "topics", "held_out", "alpha", "smallest_effect", "permutations", "seed")


def _course(settings: PipelineSettings) -> Course:
    return Course(
        topics=settings.topics,
        hypotheses=settings.hypotheses,
        prompts_per_cycle=settings.prompts_per_cycle,
        new_prompts=settings.new_prompts if settings.assistant else settings.prompts_per_cycle,
        held_out=settings.held_out,
        smallest_effect=settings.smallest_effect,
        rules=Rules(settings.cycles, settings.quiet_cycles, settings.stable_cycles, settings.alpha),
    )


def _check(settings: PipelineSettings) -> None:
    if settings.num_beams is not None or settings.temperature == 0:
        raise InputError(
            "Hypotheses are tested on draws, and --num-beams or --temperature 0 make every text of a prompt the same; leave it "
            "out."
        )
    if settings.assistant is None:
        given = [name for name in ("assistant_model", "judge", "max_requests", "max_total_tokens") if getattr(settings, name)]
        if given:
            raise InputError(
                f"--{given[0].replace('_', '-')} is about an assistant, but nobody is asked; give --assistant too."
            )


def _earlier(settings: PipelineSettings, decoder: Decoder) -> tuple[str | None, Texts]:
    """The texts of the cell that is looked at first, by prompt id. They must be of the same two models."""
    if settings.cell is None:
        return None, {}
    workspace = decoder.workspace
    (cell,) = read_cells(workspace, (settings.cell,))
    record = read_catalog(workspace, "cells")[cell]
    if record["inputs"] != decoder.source.inputs(record["facts"].get("role")):
        raise InputError(f"The texts of cell {cell} are of two other models; give these as --starting and --comparison.")
    by_prompt: dict[str, list[Observation]] = {}
    for text in read_texts(workspace, cell).values():
        by_prompt.setdefault(text.prompt_id, []).append(observation(text, settings.measure))
    return cell, by_prompt
