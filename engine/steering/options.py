"""Which options of a sweep go together. No torch."""

from __future__ import annotations

from engine.errors import InputError
from engine.steering.editing.settings import check_edit
from engine.steering.settings import ApplySettings


def check_options(settings: ApplySettings) -> None:
    """Refuse options that contradict each other, in one sentence, before anything is computed or written."""
    if settings.vectors_file is not None and settings.vector_model is not None:
        raise InputError("--vectors-file and --vector-model both say whose vectors to steer with; give one of them.")
    if settings.normalise_over and settings.scale == "activation":
        raise InputError("--normalise-over and --scale activation both set the vector's length; give one of them.")
    if settings.positions == "from_marker" and not settings.marker:
        raise InputError("--positions from_marker steers from a text in the prompt on; give --marker that text.")
    if settings.marker is not None and settings.positions != "from_marker":
        raise InputError("--marker is only read with --positions from_marker; give both or neither.")
    if settings.edit == "oracle" and set(settings.questions) != {"open"}:
        raise InputError("--edit oracle must know the label of everything it is asked; give --questions open.")
    check_edit(settings)


def needs_means(settings: ApplySettings) -> bool:
    """True of edits that slide states relative to the mean state of the steered model."""
    return settings.edit not in ("none", "project", "oracle")
