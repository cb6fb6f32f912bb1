"""The settings of `tiller data`: options, keys and what the provenance of a made set records.

What decides a request is apart from what decides which items are kept: raising `--count` or `--similarity` asks nothing again.
Names of servers stay out of keys, the assistant's identity stands for them. No torch, no network.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from engine.assistants.settings import AssistantSettings
from engine.data_making.published import HOME
from engine.settings import StepSettings, option

Role = Literal["ask", "watch", "both", "neutral"]

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$"


class RequestSettings(AssistantSettings):
    """What every request says, whatever is made."""

    per_request: int = option(10, "items asked for in one request", ge=1, le=100)
    topics: tuple[str, ...] = option((), "subjects to spread the requests over (none: forty of everyday life)")
    examples: str | None = option(None, "file of good items; three are shown in each request", affects_result=False)


class KeepingSettings(StepSettings):
    """Which items are kept, how many, and where."""

    count: int = option(200, "good items to make", ge=1)
    max_requests: int | None = option(
        None, "give up after so many (none: four times what would do)", affects_result=False, ge=1
    )
    similarity: float = option(90.0, "an item at least so alike an earlier one, in %, is dropped", ge=50, le=100)
    avoid: tuple[str, ...] = option((), "files whose items must not come again", affects_result=False)
    to: str | None = option(None, "folder to write into (none: under the workspace's datasets/)", affects_result=False)
    overwrite: bool = option(False, "replace a set that is there", affects_result=False)


class SplitSettings(StepSettings):
    """How items are divided; an item's place depends on its own text only."""

    validation: float = option(0.15, "share of the items to choose a layer on", ge=0, lt=1)
    test: float = option(0.15, "share of the items to report on", ge=0, lt=1)

    @model_validator(mode="after")
    def _room_for_training(self) -> SplitSettings:
        if self.validation + self.test >= 1:
            raise ValueError("--validation and --test leave nothing to train on; their sum must be below 1")
        return self


class ContrastRequests(RequestSettings):
    """What the requests for contrast pairs depend on."""

    step: ClassVar[str] = "data.make.contrast"

    behavior: str = option(..., "name of the behaviour, also of its folder", pattern=NAME)
    description: str = option(..., "what an answer that shows the behaviour does", min_length=3)
    opposite: str | None = option(None, "what the other answer does (none: not that)")
    form: Literal["ab", "open"] = option("ab", "short options, or complete answers of a few sentences")


class ContrastSettings(SplitSettings, KeepingSettings, ContrastRequests):
    """Questions with an answer that shows a behaviour and one that does not, as a CAA-form data set for `tiller steer`."""

    def requests(self) -> ContrastRequests:
        return ContrastRequests(**_part(self, ContrastRequests))


class QueriesRequests(RequestSettings):
    """What the requests for queries depend on."""

    step: ClassVar[str] = "data.make.queries"

    name: str = option(..., "name of the set, also of its folder", pattern=NAME)
    description: str = option(..., "what the queries are about", min_length=3)
    style: str | None = option(None, "how they are worded (none: as many people would type them)")


class QueriesSettings(SplitSettings, KeepingSettings, QueriesRequests):
    """Questions to put to a model, as JSON lists of strings; those that presuppose their answer are dropped."""

    leading: bool = option(False, "keep questions that presuppose their answer, as 'Why is it okay to …'")

    def requests(self) -> QueriesRequests:
        return QueriesRequests(**_part(self, QueriesRequests))


class PhrasesRequests(RequestSettings):
    """What the requests for phrases depend on."""

    step: ClassVar[str] = "data.make.phrases"

    name: str = option(..., "name of the set, also of its file", pattern=NAME)
    description: str = option("texts of every kind", "what kind of texts the phrases are about", min_length=3)
    roles: tuple[Role, ...] = option(("ask", "watch"), "what the phrases are for, in equal numbers", min_length=1)
    stem: str = option("Edit RESPONSE", "how every instruction begins", min_length=1)

    @field_validator("roles")
    @classmethod
    def _each_once(cls, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        if len(set(roles)) < len(roles):
            raise ValueError("name every role once")
        return roles


class PhrasesSettings(KeepingSettings, PhrasesRequests):
    """Subjective phrases for the thesaurus, as JSON lines: what developers ask for, and what nobody would."""

    similarity: float = option(94.0, "a phrase at least so alike an earlier one, in %, is dropped", ge=50, le=100)

    def requests(self) -> PhrasesRequests:
        return PhrasesRequests(**_part(self, PhrasesRequests))


class CheckSettings(StepSettings):
    """Recognise data files and say everything that is wrong with them, by file, row and field."""

    step: ClassVar[str] = "data.check"

    paths: tuple[str, ...] = option((), "files or folders", positional=True)
    all: bool = option(False, "show every problem, not the first twenty of each file")


class ProcessSettings(StepSettings):
    """Make a CAA-form data set's training and test files from its raw items: shuffled, split, letters balanced."""

    step: ClassVar[str] = "data.process"

    folder: str = option(..., "folder that has raw/<behaviour>/", positional=True)
    behaviors: tuple[str, ...] = option((), "only these behaviours (none: all)", affects_result=False)
    seed: int = option(0, "of the shuffle and of the order of options")
    generate: int = option(1000, "at most so many items to make vectors from", ge=1)
    test: int = option(50, "items to report on", ge=1)
    to: str | None = option(None, "folder to write generate/ and test/ into (none: beside raw/)", affects_result=False)
    overwrite: bool = option(False, "replace files that are there with other contents", affects_result=False)


class GetSettings(StepSettings):
    """Download the published CAA data sets into the workspace, each file checked against its pinned hash."""

    step: ClassVar[str] = "data.get.caa"

    to: str | None = option(None, "folder to write into (none: datasets/caa of the workspace)")
    source: str = option(HOME, "a mirror: SOURCE/COMMIT/datasets/… is fetched")
    overwrite: bool = option(False, "replace files that are there with other contents")


def _part(settings: StepSettings, kind: type[StepSettings]) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in kind.model_fields}
