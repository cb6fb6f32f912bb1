"""Published steering vectors (`.pt`) as ours: single tensors or lists of them, named as the two repositories name them (§9).

Owns reading foreign files: tensors only, never code in a pickle. What it returns is checked: one width, finite, one vector for
each site.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from engine.errors import InputError
from engine.families import Site
from engine.steering.originals import parse_caa_vector, parse_steering_llama3

PublishedSite = Literal["stream", "sublayers"]
_PATTERN = "vec*.pt"


def files_of(paths: Sequence[str]) -> list[Path]:
    """Files as they are; of a folder those that are named as vectors."""
    if not paths:
        raise InputError("Say what to import: files vec*.pt, or a folder of them.")
    found: list[Path] = []
    for name in paths:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = sorted(path.glob(_PATTERN))
            if not inside:
                raise InputError(f"Folder {path} has no file {_PATTERN}; give the folder or the files of published vectors.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"There is no file or folder {path}; give published vectors (.pt).")
    return found


def read_published(files: Sequence[Path], site: PublishedSite | None, layer: int | None) -> dict[Site, Tensor]:
    """{site: [hidden] float32}. `site` and `layer` are for files whose names do not say them."""
    found: dict[Site, Tensor] = {}
    owners: dict[Site, Path] = {}
    for path in files:
        for place, vector in _placed(path, _tensors(path), site, layer).items():
            if place in found:
                raise InputError(
                    f"{owners[place].name} and {path.name} both have a vector at {place.name}; import one model's at a time."
                )
            other = next(iter(found.values()), vector)
            if len(vector) != len(other):
                raise InputError(
                    f"{path.name} has a vector of width {len(vector)}, the others have width {len(other)}; "
                    "import one model's at a time."
                )
            found[place], owners[place] = vector, path
    return found


def content_hash(vectors: Mapping[Site, Tensor]) -> str:
    """16 hex digits that name the imported file: equal vectors at equal sites are one file."""
    digest = hashlib.sha256()
    for site in sorted(vectors):
        digest.update(site.name.encode() + b"\0" + vectors[site].numpy().tobytes())
    return digest.hexdigest()[:16]


def _tensors(path: Path) -> list[Tensor]:
    """One vector, or a list of them by index: each [hidden] float32."""
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds code or other objects beside tensors, which are not loaded.") from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError) as error:
        raise InputError(f"{path} is no PyTorch file that can be read ({type(error).__name__}); download it again.") from error
    members = list(content) if isinstance(content, list | tuple) or _is_table(content) else [content]
    vectors = []
    for member in members:
        if not isinstance(member, Tensor) or not member.is_floating_point() or member.squeeze().dim() != 1:
            raise InputError(f"{path} holds no vectors: it must be a tensor [hidden], or a list of them.")
        vector = member.detach().squeeze().float().contiguous()
        if not vector.isfinite().all():
            raise InputError(f"{path} holds NaN or infinite numbers; download or make it again.")
        vectors.append(vector)
    if not vectors:
        raise InputError(f"{path} holds an empty list; it must hold vectors.")
    return vectors


def _is_table(content: object) -> bool:
    """[layers, hidden]: a list of vectors in one tensor."""
    return isinstance(content, Tensor) and content.dim() == 2 and content.shape[0] > 1


def _placed(path: Path, vectors: list[Tensor], site: PublishedSite | None, layer: int | None) -> dict[Site, Tensor]:
    named_site, named_layer = _named(path)
    where, index = site or named_site, layer if layer is not None else named_layer
    if where is None:
        raise InputError(f"The name {path.name} does not say where its vectors belong; give --site stream or sublayers.")
    if len(vectors) == 1:
        if index is None:
            raise InputError(f"The name {path.name} does not say which layer its vector belongs to; give --layer.")
        return {_site(where, index): vectors[0]}
    if where == "sublayers" and len(vectors) % 2:
        raise InputError(f"{path} has {len(vectors)} vectors; of sublayers there are two for each layer.")
    return {_site(where, number): vector for number, vector in enumerate(vectors)}


def _site(where: PublishedSite, index: int) -> Site:
    """Sublayers are counted attn0, mlp0, attn1, …: layer 15 of them is the MLP of block 7 (§2.1)."""
    return Site(index) if where == "stream" else Site(index // 2, "mlp" if index % 2 else "attn")


def _named(path: Path) -> tuple[PublishedSite | None, int | None]:
    """What the name says of site and layer, where it is one of the repositories'."""
    try:
        return "stream", parse_caa_vector(path.name).layer
    except InputError:
        pass
    try:
        settings = parse_steering_llama3(path.name).settings
    except InputError:
        return None, None
    return "sublayers" if settings.residual else "stream", settings.layer if isinstance(settings.layer, int) else None
