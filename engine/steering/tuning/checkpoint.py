"""A training's state on disk, so that a kill costs minutes.

Owns one file, replaced whole. It is written straight from the tensors: a copy in memory may not fit beside them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.atomic import writing
from engine.progress import notice
from engine.steering.tuning.training import Training


class Checkpoint:
    def __init__(self, path: Path, minutes: float) -> None:
        self._path, self._seconds = path, minutes * 60
        self._written_at = time.monotonic()

    def restore(self, training: Training) -> None:
        """Go on from what an earlier attempt has left, if it has left something."""
        if not self._path.is_file():
            return
        try:
            with safe_open(self._path, "pt") as file:
                losses = json.loads(file.metadata()["losses"])
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            training.restore(state, losses)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            notice(f"{self._path.name} is unreadable ({error}); training starts from the beginning")
            return
        notice(f"goes on after update {len(losses)} of {training.total}")

    def keep(self, training: Training) -> None:
        """Write the state if the last writing is long enough ago."""
        if time.monotonic() - self._written_at < self._seconds:
            return
        temporary = self._path.with_suffix(".tmp")
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            state = {name: tensor.contiguous() for name, tensor in training.state().items()}
            save_file(state, temporary, metadata={"losses": json.dumps(training.losses)})
            temporary.replace(self._path)
        self._written_at = time.monotonic()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
