"""The demo's own data as steering data."""

from __future__ import annotations

from typing import Literal

from engine.data import Contrast, Example
from engine.errors import InputError
from engine.steering.data.questions import Questions, SteeringData
from engine.steering.settings import ContrastKind


def load(behavior: str, contrast: ContrastKind | None) -> SteeringData:
    from engine.demo import data

    if behavior not in (*data.BEHAVIORS, *data.CLASS_BEHAVIORS):
        known = ", ".join((*data.BEHAVIORS, *data.CLASS_BEHAVIORS))
        raise InputError(f"The demo data have no behaviour '{behavior}'; choose one of {known}.")
    kinds = _kinds(behavior)
    if contrast is not None and contrast not in kinds:
        raise InputError(f"The demo data have no contrast '{contrast}' of '{behavior}'; give --contrast {' or '.join(kinds)}.")

    def questions(split: Literal["validation", "test"]) -> Questions:
        items = data.ab_items(behavior, split) if behavior in data.AB_BEHAVIORS else []
        return Questions(tuple(items), tuple(data.open_prompts(behavior, split)))

    return SteeringData(_contrast(behavior, contrast or kinds[0]), questions("validation"), questions("test"))


def _kinds(behavior: str) -> tuple[ContrastKind, ...]:
    """The kinds there are, the default first."""
    from engine.demo import data

    if behavior in data.CLASS_BEHAVIORS:
        return ("classes",)
    return ("prompts", "ab") if behavior in data.AB_BEHAVIORS else ("prompts",)


def _contrast(behavior: str, kind: ContrastKind) -> Contrast:
    from engine.demo import data

    if kind == "classes":
        voices = data.voice_classes().items()
        classes = {voice: tuple(Example(f"{voice}-{i:03}", chat) for i, chat in enumerate(chats)) for voice, chats in voices}
        return Contrast(classes, behavior.partition(".")[2])
    paired = Contrast.of_pairs(data.contrast_pairs(behavior, "letter" if kind == "ab" else "prompt"))
    if behavior != "refuse":
        return paired
    return Contrast({"harmful": paired.classes["positive"], "harmless": paired.classes["negative"]}, "harmful")
