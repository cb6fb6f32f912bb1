"""What fully describes one engine step, and the key that names its artifacts.

Owns the frozen base class of all step settings, their canonical form and the expansion of sweeps. It must not know any method,
and imports neither torch nor numpy: the console builds its forms from these classes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

SCHEMA = 1
"""Number of the key schema and of the record layout; a change of either raises it."""

_SIGNIFICANT_DIGITS = 12  # arithmetic noise (0.1 + 0.2) lies beyond the 15th digit, no one sets a multiplier to the 12th


def option(
    default: Any,
    description: str,
    *,
    affects_result: bool = True,
    axis: bool = False,
    positional: bool = False,
    **constraints: Any,
) -> Any:
    """A settings field. `affects_result=False` keeps it out of keys; `axis=True` marks a tuple that a sweep expands over;
    `positional=True` is given on the command line without its name. The default `...` makes it required."""
    extra: dict[str, Any] = {"affects_result": affects_result, "axis": axis, "positional": positional}
    return Field(default, description=description, json_schema_extra=extra, **constraints)


def is_positional(field: FieldInfo) -> bool:
    return _tag(field, "positional", False)


class StepSettings(BaseModel):
    """Base of every step's settings. A subclass names its `step` and raises its `VERSION` whenever its results change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step: ClassVar[str] = "step"
    VERSION: ClassVar[int] = 1

    def key(self, **inputs: str) -> str:
        """16 hex digits that name the artifacts of this step.

        `inputs` are the hashes of what the step reads (`model=` revision or weights, `data=`, an earlier step's key). Only
        fields that differ from their defaults count, so a new field with a neutral default orphans nothing; axis fields
        always count, so a cell keeps its key when the default sweep changes.
        """
        identity = {
            "schema": SCHEMA,
            "step": self.step,
            "version": self.VERSION,
            "settings": self.decisive_fields(),
            "inputs": inputs,
        }
        return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]

    def decisive_fields(self) -> dict[str, Any]:
        """The fields that decide the result and differ from their defaults, and every axis field."""
        decisive = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            differs = field.is_required() or canonical_json(value) != canonical_json(
                field.get_default(call_default_factory=True, validated_data={})
            )
            if _tag(field, "affects_result", True) and (differs or _tag(field, "axis", False)):
                decisive[name] = value
        return decisive

    def cells(self) -> Iterator[Self]:
        """One settings object for each point of the sweep: every axis field holds exactly one value."""
        axes = [name for name, field in type(self).model_fields.items() if _tag(field, "axis", False) and getattr(self, name)]
        for point in itertools.product(*(getattr(self, name) for name in axes)):
            yield self.model_copy(update={name: (value,) for name, value in zip(axes, point, strict=True)})

    def record(self) -> dict[str, Any]:
        """All fields as plain JSON values: what is stored beside the result."""
        return self.model_dump(mode="json")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and numbers as plain decimals: 1 and 1.0, 0.3 and 0.1 + 0.2 give the same text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return canonical_number(value)
    if isinstance(value, Mapping):
        items = sorted((str(name), item) for name, item in value.items())
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{canonical_json(item)}" for name, item in items) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no canonical JSON form: {value!r}")


def canonical_number(value: float) -> str:
    """`value` as a plain decimal of at most 12 significant digits; integers, floats and negative zero agree."""
    number = Decimal(f"{value:.{_SIGNIFICANT_DIGITS}g}")
    return format(number.normalize() if number else Decimal(0), "f")


def _tag(field: FieldInfo, name: str, default: bool) -> bool:
    extra = field.json_schema_extra
    return bool(extra.get(name, default)) if isinstance(extra, dict) else default
