"""A judge is a backend (a local model, a server, rules) with a rubric; here it is opened from settings and named as a scorer.

Owns what a scorer is called: judge, rubric with version and fingerprint, and a hash of the settings that decide a verdict. For
a local model that is the hash of its weights, for a server the model's name there; never an address or an absolute path, so
that the same judge has one name on every machine and port. Nothing heavy is loaded before the first question.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from engine.errors import InputError
from engine.identity import resolve_model
from engine.judges.rubric import Rubric, load_rubric, rubric_names
from engine.judges.settings import SERVER, BackendSettings, JudgeSettings
from engine.judges.verdict import Subject, Verdict
from engine.remote.endpoints import is_server, open_endpoint
from engine.remote.types import Endpoint
from engine.settings import canonical_json
from engine.workspace import Workspace

SCHEME = 1
"""Number of the rules by which scorers are named."""


class Backend(Protocol):
    """Who answers. `deciding`: what changes its verdicts, besides the rubric."""

    @property
    def name(self) -> str: ...
    @property
    def deciding(self) -> Mapping[str, Any]: ...
    def verdicts(self, rubric: Rubric, subjects: Sequence[Subject]) -> Iterator[tuple[int, Verdict]]: ...

    def spent(self) -> str:
        """What the questions so far cost, for a summary line; empty where they cost nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Judge:
    """A backend that judges by one rubric."""

    backend: Backend
    rubric: Rubric

    @property
    def name(self) -> str:
        return self.backend.name

    @property
    def scorer(self) -> str:
        rubric = f"{self.rubric.id}.{self.rubric.version}-{self.rubric.fingerprint()}"
        return f"{self.name}.{rubric}.{_hash(self.backend.deciding)}"

    def record(self) -> dict[str, Any]:
        """What the scorer's name stands for."""
        rubric = self.rubric.model_dump(mode="json", exclude={"known"}, exclude_defaults=True)
        always = {"kind": self.rubric.kind, "direction": self.rubric.direction, "scale": self.rubric.scale}
        return {"judge": self.name, "settings": dict(self.backend.deciding), "rubric": rubric | always}

    def verdicts(self, subjects: Sequence[Subject]) -> Iterator[tuple[int, Verdict]]:
        """(index, verdict) of every subject, as they come."""
        return self.backend.verdicts(self.rubric, subjects)


def open_judge(settings: BackendSettings, rubric: Rubric, workspace: Workspace) -> Judge:
    return Judge(RuleBackend() if rubric.kind == "rule" else open_backend(settings, workspace), rubric)


def open_judges(settings: BackendSettings, rubrics: Sequence[Rubric], workspace: Workspace, anew: bool = False) -> list[Judge]:
    """One for each rubric, with one backend for all, so that a local model is loaded once. anew: a server is asked even what it
    replied to before."""
    asking = any(rubric.kind != "rule" for rubric in rubrics)
    backend = open_backend(settings, workspace, anew) if asking else RuleBackend()
    return [Judge(RuleBackend() if rubric.kind == "rule" else backend, rubric) for rubric in rubrics]


def open_backend(settings: BackendSettings, workspace: Workspace, anew: bool = False) -> Backend:
    if settings.judge == "rule":
        raise InputError('A rule judges by rubrics of kind "rule" only; give another --rubric, or a --judge that can be asked.')
    if settings.judge == SERVER or is_server(settings.judge):
        return ServerBackend(settings, workspace, anew)
    return LocalBackend(settings)


def rubrics_folder(workspace: Workspace) -> Path:
    """The user's own rubrics."""
    return workspace.root / "rubrics"


def fitting_rubric(settings: JudgeSettings, dataset: str, behavior: str, workspace: Workspace) -> Rubric | None:
    """The rubric that the settings name, else the one about this behaviour: the demo judge's own for the demo data, for others
    the one with the behaviour's name. None: there is none."""
    from engine.demo.data import JUDGE_OF

    folder = rubrics_folder(workspace)
    if settings.rubric is not None:
        return load_rubric(settings.rubric, settings.attribute, folder)
    name = f"demo.{JUDGE_OF[behavior]}" if dataset == "demo" and behavior in JUDGE_OF else behavior
    return load_rubric(name, settings.attribute, folder) if name in rubric_names(folder) else None


def no_rubric(behavior: str, workspace: Workspace) -> InputError:
    names = ", ".join(name for name in rubric_names(rubrics_folder(workspace)) if not name.startswith("demo."))
    return InputError(
        f"No rubric is about '{behavior}'; name one with --rubric ({names}, demo.<attribute> or a .toml of your own), or "
        "measure A/B items instead (--questions ab)."
    )


class RuleBackend:
    """No model: patterns, word lists, lengths."""

    name = "rule"
    deciding: Mapping[str, Any] = {}

    def verdicts(self, rubric: Rubric, subjects: Sequence[Subject]) -> Iterator[tuple[int, Verdict]]:
        from engine.judges.rules import verdict

        return ((index, verdict(rubric, subject)) for index, subject in enumerate(subjects))

    def spent(self) -> str:
        return ""


class LocalBackend:
    """A model in this process, loaded at the first question."""

    def __init__(self, settings: BackendSettings) -> None:
        self._settings = settings
        self._source = resolve_model(settings.judge)
        folder = Path(settings.judge).expanduser()
        self.name = _safe(folder.resolve().name if folder.is_dir() else settings.judge)

    @property
    def deciding(self) -> Mapping[str, Any]:
        quantize = self._settings.judge_quantize
        return {"weights": self._source.identity} | ({"quantize": quantize} if quantize else {})

    def verdicts(self, rubric: Rubric, subjects: Sequence[Subject]) -> Iterator[tuple[int, Verdict]]:
        from engine.judges.local import verdicts

        return verdicts(self._model, rubric, subjects, self._settings.judge_batch_size)

    def spent(self) -> str:
        return ""

    @cached_property
    def _model(self) -> Any:
        from engine.models import load_source  # torch, a second or more: only when there is something to ask

        return load_source(self._source, self._settings.judge_quantize, self._settings.judge_device_map)


class ServerBackend:
    """A model behind an OpenAI-compatible server. Which one it is has to be known at once: it is part of the scorer's name."""

    def __init__(self, settings: BackendSettings, workspace: Workspace, anew: bool = False) -> None:
        self._settings, self._workspace, self._anew = settings, workspace, anew
        self._usage = settings.usage()
        self._endpoint: Endpoint | None = None
        if settings.judge != SERVER:
            self._endpoint = open_endpoint(settings.judge, settings.judge_model, settings.judge_key, settings, "judge")
        elif settings.judge_model is None:
            raise InputError(f"Which model --judge {SERVER} means is open; name one with --judge-model.")
        served = self._endpoint.model if self._endpoint else settings.judge_model or ""
        model = Path(served).name if served.startswith("/") else served
        self.name = _safe(model)
        self.deciding: Mapping[str, Any] = {
            "model": model,
            "temperature": settings.judge_temperature,
            "seed": settings.judge_seed,
            "structured": settings.structured,
        } | ({"revision": settings.judge_revision} if settings.judge_revision else {})

    def verdicts(self, rubric: Rubric, subjects: Sequence[Subject]) -> Iterator[tuple[int, Verdict]]:
        from engine.judges.remote import verdicts

        if self._endpoint is None:
            raise InputError(f"--judge {SERVER} only names a judge, to show its scores; give its address, http(s)://HOST/v1.")
        return verdicts(
            self._workspace,
            f"{self.name}.{_hash(self.deciding)}",
            self._endpoint,
            rubric,
            subjects,
            temperature=self._settings.judge_temperature,
            seed=self._settings.judge_seed,
            usage=self._usage,
            fresh=self._anew,
        )

    def spent(self) -> str:
        usage = self._usage
        if not usage.tries:
            return "no requests, every reply was kept from earlier"
        words = [f"{usage.tries} requests", f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"]
        if usage.tries > usage.replies + usage.failed:
            words[0] += f" ({usage.tries - usage.replies - usage.failed} of them tried again)"
        if usage.cost:
            words.append(f"cost {usage.cost:.2f}")
        if usage.errors:
            words.append("faults: " + ", ".join(f"{count} {kind}" for kind, count in sorted(usage.errors.items())))
        return "; ".join(words)


def _hash(deciding: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json([SCHEME, deciding]).encode()).hexdigest()[:8]


def _safe(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9-]", "_", name)[:80]
