"""A prompt file of the original program (§4.1) as a wording of ours.

Owns which of its keys became which of ours. Texts are kept as they are; `user_start`, `user_loop` and `system_end` were read by
the original and never used, so they are left out, and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.cd.search.wording import Wording, parse_wording
from engine.errors import InputError

_KEYS = {
    "system_start": "system",
    "system_loop": "with_examples",
    "user_end": "request",
    "seed_demonstrations": "seeds",
    "custom_selection_criterion": "criterion",
    "custom_selection_criterion_examples": "criterion_examples",
    "custom_selection_criterion_yes_response": "yes",
    "custom_selection_criterion_no_response": "no",
}
_HYPOTHESES = {"KN_prompt_1": "request", "seed_texts_1": "seeds"}


def import_wording(path: Path, without_divergences: bool) -> tuple[Wording, list[str]]:
    """→ the wording, and the keys that were left out."""
    found = _read(path)
    kind = "hypotheses" if "KN_prompt_1" in found else "prompts"
    keys = _HYPOTHESES if kind == "hypotheses" else _KEYS
    if not any(ours == "request" and theirs in found for theirs, ours in keys.items()):
        raise InputError(
            f"{path} is no prompt file of the original program: it has neither user_end nor KN_prompt_1; write a wording of "
            "our own form instead (docs/how-to/divergence-search.md)."
        )
    made: dict[str, Any] = {ours: found[theirs] for theirs, ours in keys.items() if found.get(theirs)}
    if without_divergences:
        made.pop("with_examples", None)
    left_out = sorted(found.keys() - {theirs for theirs in keys if theirs in found and keys[theirs] in made})
    return parse_wording(made | {"kind": kind}, path), left_out


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the original's JSON prompt file.") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); give the original's JSON prompt file.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object; give the original's JSON prompt file.")
    return found
