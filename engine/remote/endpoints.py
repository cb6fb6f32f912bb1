"""From what a user says about a server to an `Endpoint`: the same rules and sentences for judges and assistants.

Owns what counts as a server's address, and that neither an address nor a key's name holds a secret. No network but to ask a
server that names no model which one it has.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from engine.errors import EngineError, InputError
from engine.remote.settings import ServerSettings
from engine.remote.types import Endpoint

OPENAI = "https://api.openai.com/v1"


def is_server(name: str) -> bool:
    """Whether an option's value names a server, not a model to load."""
    return name == "openai" or name.startswith(("http://", "https://"))


def open_endpoint(name: str, model: str | None, key_env: str, settings: ServerSettings, option: str) -> Endpoint:
    """The server that `name` ("openai", or http(s)://HOST/v1) stands for, and its model.

    model: None is the only one that the server has. option: the words of the command line that messages speak of:
    `--<option>`, `--<option>-model`, `--<option>-key`.
    """
    if name == "openai" and not model:
        raise InputError(f"--{option} openai has many models; name one with --{option}-model.")
    address = OPENAI if name == "openai" else name.rstrip("/")
    check_address(address, f"--{option}")
    if not key_env.isidentifier():  # not repeated: it may be the key itself
        raise InputError(f"--{option}-key takes the name of a variable, never a key; `export NAME=…` and give NAME.")
    endpoint = Endpoint(
        base_url=address,
        model=model or "",
        key_env=key_env,
        concurrency=settings.concurrency,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        timeout=settings.timeout,
        deadline=settings.deadline,
        structured=settings.structured,
    )
    if endpoint.model:
        return endpoint
    from engine.remote.client import only_model  # loads the client library

    try:
        return replace(endpoint, model=only_model(endpoint))
    except InputError as error:
        raise InputError(f"{error} (--{option}-model)") from error
    except EngineError as error:
        raise EngineError(f"{error} (--{option}-model)") from error


def check_address(url: str, option: str) -> None:
    """Refuse an address with a user, password or query: addresses are recorded, and all users see the list of processes."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query:
        raise InputError(
            f"The address of {option} holds more than host and path; put a key into a variable instead, where nobody sees it."
        )
