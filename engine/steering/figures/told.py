"""What a picture was drawn of, in one line: the model, and every setting that differs from its default. No torch.

Titles name behaviour, layer and sublayer; this line stands under them, and in every row of the numbers.
"""

from __future__ import annotations

from collections.abc import Collection

from engine.settings import StepSettings

TOLD = (
    *("models", "dataset", "revision", "quantize", "dtype", "contrast", "logit", "hold_out", "site", "together", "scale"),
    *("normalise_over", "vector_layer", "vector_model", "vectors_file", "edit", "scrub_method", "legacy_edits", "positions"),
    *("marker", "system_prompt", "control", "control_seed", "limit", "samples", "max_new_tokens", "temperature", "top_k"),
    *("top_p", "seed", "capability_text", "band", "measure", "legacy_letters", "standardise", "prompt", "question", "answer"),
)
"""Every setting that decides what a picture shows, but for the axes, which it shows itself."""


def told(settings: StepSettings, but: Collection[str] = ()) -> str:
    """but: settings that the picture varies itself."""
    parts = [f"model {getattr(settings, 'model', '')}"]
    for name in TOLD:
        field = type(settings).model_fields.get(name)
        if field is not None and name not in but and getattr(settings, name) != field.default:
            parts.append(f"{name.replace('_', ' ')} {said(getattr(settings, name))}")
    return "; ".join(parts)


def said(value: object) -> str:
    """A setting's value as people say it."""
    if isinstance(value, tuple):
        return ", ".join(map(said, value)) or "none"
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)
