"""The settings of concept editors, and which edits go with which sweeps. No torch.

Editors are what an edit must learn from activations beyond the vector itself: LEACE's functional, transport maps, scrub's
chains.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, get_args

from engine.errors import InputError
from engine.families import SiteKind
from engine.settings import option
from engine.steering.settings import SWEEP, ApplySettings, ContrastSettings, EditKind, ScrubMethod, VectorSettings

Method = Literal["leace", "quad", "quadlda", "scrub"]
"""The kinds of edit that need editors; `project`, `orth` and `oracle` need only what is in the vectors file."""
METHODS: tuple[Method, ...] = get_args(Method)


class EditorSettings(VectorSettings):
    """Editors of one behaviour by one method; they lie in a folder with their key as its name, in a file for each part."""

    step: ClassVar[str] = "steer.fit"
    VERSION: ClassVar[int] = 1

    method: Method = option("leace", "what the editors do")
    scrub_method: ScrubMethod = option("leace", "how scrub erases at each sublayer")
    legacy_edits: bool = option(False, "scrub adds half of the vector, as published")


class FitSettings(ContrastSettings):
    """Editors of one or more behaviours, by one or more methods, with one load of the model."""

    step: ClassVar[str] = "steer.fit"

    behavior: tuple[str, ...] = option(("agree",), "the behaviours whose editors are fitted", min_length=1)
    method: tuple[Method, ...] = option(
        ("leace",),
        "leace: erase by least squares; quad, quadlda: transport between Gaussian classes; scrub: erase in every sublayer",
        min_length=1,
    )
    site: tuple[SiteKind, ...] = option(("stream",), "where leace, quad and quadlda may then be used", min_length=1)
    layer: tuple[int, ...] = option((), "at which layers leace, quad and quadlda may then be used (none: all)")
    multipliers: tuple[float, ...] = option(SWEEP, "for scrub: each multiplier has editors of its own", min_length=1)
    scrub_method: ScrubMethod = option("leace", "how scrub erases at each sublayer")
    legacy_edits: bool = option(False, "scrub adds half of the vector, as published")

    def each(self) -> Iterator[EditorSettings]:
        """The settings of every behaviour's editors by every method."""
        shared: dict[str, Any] = {name: getattr(self, name) for name in ContrastSettings.model_fields}
        for behavior in self.behavior:
            for method in self.method:
                yield EditorSettings(**shared, behavior=behavior, method=method, **self._scrub(method))

    def _scrub(self, method: Method) -> dict[str, Any]:
        """Options of scrub stay out of the other methods' keys."""
        return {"scrub_method": self.scrub_method, "legacy_edits": self.legacy_edits} if method == "scrub" else {}


def editor_settings(settings: ApplySettings) -> EditorSettings | None:
    """The settings that name the editors of a sweep; None where its edit needs none."""
    if settings.edit not in METHODS:
        return None
    scrub = {"scrub_method": settings.scrub_method, "legacy_edits": settings.legacy_edits} if settings.edit == "scrub" else {}
    vectors = settings.vector_settings().model_dump()
    return EditorSettings(**vectors, method=settings.edit, **scrub)


def check_logit(edit: EditKind, logit: bool) -> None:
    """Refuse what compares classes where there is only one."""
    if logit and edit in ("quad", "quadlda", "scrub", "oracle"):
        raise InputError(
            f"{edit.capitalize()} compares classes of examples, but --logit reads one class only; with --logit there are "
            "leace, orth and project."
        )


def check_fit(settings: FitSettings) -> None:
    """Refuse combinations of options that mean nothing, in one sentence, before anything is computed."""
    for method in settings.method:
        check_logit(method, settings.logit)
    if "scrub" not in settings.method and (settings.legacy_edits or settings.scrub_method != "leace"):
        raise InputError("--scrub-method and --legacy-edits say how to scrub; give them with --method scrub.")
    if settings.method == ("scrub",):
        for name, given in (("--layer", settings.layer), ("--site", settings.site != ("stream",))):
            if given:
                raise InputError(f"--method scrub edits every sublayer of every layer in turn; leave out {name}.")


def check_edit(settings: ApplySettings) -> None:
    """Refuse combinations of options that mean nothing, in one sentence, before anything is computed."""
    edit = settings.edit
    learned = edit in METHODS
    if learned and settings.control != "none":
        raise InputError(
            f"--edit {edit} is fitted to the behaviour's own vector, so it has no control vectors; give --edit orth or project "
            "with --control, or no --control."
        )
    elsewhere = [
        name
        for name, given in (
            ("--vector-layer", settings.vector_layer is not None),
            ("--vector-model", settings.vector_model is not None),
            ("--vectors-file", settings.vectors_file is not None),
        )
        if given
    ]
    if learned and elsewhere:
        raise InputError(
            f"--edit {edit} is fitted to the vector of the same model and layer, so it does not go with {elsewhere[0]}; "
            "give --edit orth or project."
        )
    check_logit(edit, settings.logit)
    signs = [(multiplier > 0) - (multiplier < 0) for multiplier in settings.multipliers]
    if edit in ("quad", "quadlda") and len(set(signs)) < len(signs):
        raise InputError(f"With --edit {edit} only the sign of a multiplier counts; give --multipliers -1 0 1, or fewer.")
    if edit in ("quad", "quadlda") and (settings.scale != "vector" or settings.normalise_over):
        raise InputError(
            f"--edit {edit} adds no vector, only the sign of a multiplier counts; leave out --scale and --normalise-over."
        )
    if edit == "scrub":
        if settings.site != "sublayers" or not settings.together or settings.layer:
            raise InputError(
                "--edit scrub edits every sublayer of every layer, one after the other; give --site sublayers --together and "
                "no --layer."
            )
        if settings.scale != "vector" or settings.normalise_over:
            raise InputError(
                "--edit scrub makes its vectors as it goes, so they cannot be scaled; leave out --scale and --normalise-over."
            )
    if settings.legacy_edits and edit not in ("orth", "scrub"):
        raise InputError("--legacy-edits says how orth and scrub are done; give it with --edit orth or --edit scrub.")
    if edit != "scrub" and settings.scrub_method != "leace":
        raise InputError(f"--scrub-method {settings.scrub_method} goes with --edit scrub only.")
