"""Tensors on disk: safetensors with their settings in the header, written whole. No pickle, in or out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.atomic import write_whole
from engine.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_HEADER_FIELD = "tiller"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    from safetensors.torch import save

    content = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(content, metadata={_HEADER_FIELD: json.dumps(header, ensure_ascii=False, sort_keys=True)}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _unreadable(path, str(error)) from error


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """`load_tensors` for figures, which need no torch."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _unreadable(path, str(error)) from error


def read_header(path: Path) -> dict[str, Any]:
    """The settings in a file's header, read without its tensors and without torch (safetensors: u64 length, then JSON)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise _unreadable(path, "its header is longer than the file")
        try:
            return json.loads(json.loads(file.read(length))["__metadata__"][_HEADER_FIELD])
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(path, "its header has no settings of ours") from error


def _unreadable(path: Path, reason: str) -> EngineError:
    return EngineError(f"{path} is not a vectors file that tiller can read ({reason}); move it away and make it again.")
