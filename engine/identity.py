"""Which model a name means, and the hash that stands for it in keys, without loading it.

Owns names (`demo`, `demo-base`, a folder of a model or of an adapter, a hub id) and identities. No torch here, so a step that
finds its work done ends before anything heavy is imported.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import EngineError, InputError

DEMO_VARIANTS: dict[str, Literal["base", "tuned"]] = {"demo": "tuned", "demo-base": "base"}

_DECISIVE = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt")  # weights, config, tokenizer, chat template
PROVENANCE = "tiller.json"
"""What a model folder of ours was made from: told beside the weights, no part of what identifies them."""
_ADAPTER = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is loaded from, and what identifies it: a commit of a hub repository, or a hash of a folder's files.
    An adapter's is put behind that of the model it belongs to, its `base`."""

    name: str
    location: str
    revision: str | None
    identity: str
    base: ModelSource | None = None

    @property
    def is_demo(self) -> bool:
        return self.name in DEMO_VARIANTS if self.base is None else self.base.is_demo


def resolve_model(name: str, revision: str | None = None) -> ModelSource:
    """Find a model by name; the error says where was looked and what to do."""
    if name in DEMO_VARIANTS:
        from engine.demo.weights import weights_path

        folder = weights_path(DEMO_VARIANTS[name])
        if not (folder / "config.json").is_file():
            raise EngineError(
                f"The weights of model {name} are missing from {folder}; install tiller again, or make them with "
                f"`python -m engine.demo.train {folder.parent}`."
            )
        return ModelSource(name, str(folder), None, folder_identity(folder))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if (folder / _ADAPTER).is_file():
            return _adapter(name, folder)
        if not (folder / "config.json").is_file():
            raise InputError(f"Model folder {name} has no config.json; give the folder that `save_pretrained` wrote.")
        return ModelSource(name, str(folder), None, folder_identity(folder))
    commit = _hub_commit(name, revision)
    return ModelSource(name, name, commit, f"{name}@{commit}")


def _adapter(name: str, folder: Path) -> ModelSource:
    """An adapter folder as peft writes it, with the model that its config names."""
    try:
        config = json.loads((folder / _ADAPTER).read_text(encoding="utf-8"))
        base_name, revision = config["base_model_name_or_path"], config.get("revision")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / _ADAPTER} names no base model; give an adapter folder as peft writes it.") from error
    if not isinstance(base_name, str) or Path(base_name).expanduser().resolve() == folder.resolve():
        raise InputError(f"{folder / _ADAPTER} names no base model (base_model_name_or_path); write its name there.")
    inside = folder.resolve().parents[2:3]  # ours lie in artifacts/finetuned/ and name other folders from the workspace on
    if inside and base_name not in DEMO_VARIANTS and (inside[0] / base_name).is_dir():
        base_name = str(inside[0] / base_name)
    try:
        base = resolve_model(base_name, revision)
    except EngineError as error:
        raise type(error)(f"The adapter {name} cannot be used without its base model: {error}") from error
    return ModelSource(name, str(folder), None, f"{base.identity}+{folder_identity(folder)}", base)


def folder_identity(folder: Path, deep: bool = False) -> str:
    """sha256 over names and contents; deep: of folders inside too. Reading the weights costs little: they are then in the page
    cache for the loading."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*") if deep else folder.iterdir()):
        if path.suffix in _DECISIVE and path.name != PROVENANCE and path.is_file():
            with path.open("rb") as file:
                name = path.relative_to(folder).as_posix()
                digest.update(name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:32]}"


def _hub_commit(name: str, revision: str | None) -> str:
    """The commit a hub id stands for: from the local cache when it is there, else asked of the hub."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub import errors as hub

    from engine.keys import find_key

    places = "'demo', 'demo-base', a folder here or a model on the hub"
    try:
        cached = try_to_load_from_cache(name, "config.json", revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name  # …/snapshots/<commit>/config.json
        commit = HfApi(token=find_key("HF_TOKEN")).model_info(name, revision=revision).sha
    except hub.HFValidationError as error:
        raise InputError(f"There is no model {name}: it is not {places}; check the name.") from error
    except hub.HfHubHTTPError as error:
        raise InputError(
            f"The hub has no model {name}{f' at {revision}' if revision else ''}, or it needs a login (HF_TOKEN); "
            f"a model name is {places}."
        ) from error
    except (hub.HTTPError, OSError) as error:  # pyright: ignore  the transport's own error, whichever library the hub uses
        raise InputError(
            f"Model {name} is not {places.replace('a model on the hub', 'in the hub cache')}, and the hub cannot be reached "
            f"({type(error).__name__}); download it where there is a network, or give the path of a local copy."
        ) from error
    if commit is None:
        raise EngineError(f"The hub names no commit for {name}; give --revision.")
    return commit
