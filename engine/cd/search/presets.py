"""Named searches: the ablations of §4.6, and a broad search. Neutral: what is looked for stays in the user's own files.

A preset fills options that are not given. Models, prompts and texts are never part of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal[
    "broad", "no-diversity", "no-divergence", "no-weighting", "random-divergences", "no-context-divergences", "no-divergences"
]
PLAIN: Mapping[str, Any] = {
    "cycles": 8,
    "repeats": 1,
    "divergence_weight": 1.0,
    "criterion_weight": 0.0,
    "diversity_weight": 1.0,
    "shown_divergences": "real",
}
"""What holds where neither an option nor a preset says otherwise."""
_LONG: Mapping[str, Any] = {"cycles": 20, "repeats": 10}
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "broad": _LONG,
    "no-diversity": _LONG | {"diversity_weight": 0.0},
    "no-divergence": _LONG | {"divergence_weight": 0.0, "criterion_weight": 1.0},
    "no-weighting": {"cycles": 15, "repeats": 5, "divergence_weight": 0.0, "diversity_weight": 0.0},
    "random-divergences": {"cycles": 20, "repeats": 15, "shown_divergences": "random"},
    "no-context-divergences": _LONG | {"shown_divergences": "none"},
    "no-divergences": _LONG | {"divergence_weight": 0.0, "shown_divergences": "none"},
}


def filled(given: Mapping[str, Any], preset: Preset | None) -> dict[str, Any]:
    """Values of all options that a preset may fill: the given ones, then the preset's, then the plain ones."""
    return {
        **PLAIN,
        **(PRESETS[preset] if preset else {}),
        **{name: value for name, value in given.items() if value is not None},
    }
