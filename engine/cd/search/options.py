"""Refusals over several options of a search, before anything loads. No torch."""

from __future__ import annotations

from engine.cd.decoding.numbers import MEASURES, WEIGHTED
from engine.cd.search.settings import SearchSettings
from engine.errors import InputError


def check_search(settings: SearchSettings) -> None:
    """settings: resolved."""
    known = [*MEASURES, *([WEIGHTED] if settings.legacy_divergence else [])]
    if settings.measure not in known:
        raise InputError(f"There is no measure {settings.measure}; --measure takes one of {', '.join(known)}.")
    if settings.criterion is not None and settings.criterion_rubric is not None:
        raise InputError("--criterion and --criterion-rubric both say what a prompt must meet; give one of them.")
    if settings.assistant is None:
        _check_offline(settings)


def check_criterion(settings: SearchSettings, has_criterion: bool) -> None:
    """Refuse options that need a criterion where there is none."""
    if has_criterion:
        return
    mend = "give --criterion, --criterion-rubric or a wording that has one"
    if settings.criterion_weight:
        raise InputError(
            f"Criterion weight {settings.criterion_weight:g}, but there is no criterion: {mend}, or --criterion-weight 0."
        )
    if settings.require_criterion:
        raise InputError(f"--require-criterion, but there is no criterion: {mend}.")


def _check_offline(settings: SearchSettings) -> None:
    if settings.shown_divergences != "real":
        raise InputError(
            f"Shown divergences '{settings.shown_divergences}' are about what an assistant is shown; give --assistant, or "
            "another --preset or --shown-divergences."
        )
    for name, given in (
        ("wording", settings.wording is not None),
        ("criterion", settings.criterion is not None),
        ("newline-fallback", settings.newline_fallback),
    ):
        if given:
            raise InputError(f"--{name} is about an assistant, and none is asked; give --assistant, or leave it out.")
