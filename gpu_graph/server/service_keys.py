"""The keys of services: made from a secret of the state folder, so that any server of it knows them and no file has them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from gpu_graph.files import write_whole

_SECRET_BYTES = 32


class ServiceKeys:
    """`of` gives a service of a run its key, the same for every attempt: tasks that run go on with the key that they have."""

    def __init__(self, state: Path) -> None:
        path = state / "service-secret"
        if not path.exists():
            write_whole(path, secrets.token_hex(_SECRET_BYTES).encode())
        self._secret = path.read_bytes()

    def of(self, run_id: str, service: str) -> str:
        return hmac.new(self._secret, f"{run_id}/{service}".encode(), hashlib.sha256).hexdigest()
