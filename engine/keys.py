"""Keys of servers and hubs: where they are looked for, and that they are seen nowhere else.

Owns the places (environment, the workspace's `.env`, a private file of the user) and the removal of a key from texts. A key is
handed to a client and to nothing else: no record, log, message or command line ever holds one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from engine.errors import InputError
from engine.progress import notice
from engine.workspace import find_workspace

DEFAULT = "OPENAI_API_KEY"
HIDDEN = "[key]"
"""What stands in a text where a key stood."""

_ALIASES = {DEFAULT: "OPEN_AI_KEY"}  # the name that the published experiments used
_PLACEHOLDER = "none"  # clients insist on some key; servers of this machine that want none ignore it
_SHORTEST = 6  # replacing anything shorter would mangle ordinary words, and is no secret
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_noticed: set[Path] = set()


def key(name: str) -> str:
    """The key in variable `name`, or one sentence that says where it was looked for and how to set it."""
    found = find_key(name)
    if found is None:
        workspace = _workspace_file()
        places = ["the environment", *([str(workspace)] if workspace else []), str(private_file())]
        alias = f" (nor {_ALIASES[name]})" if name in _ALIASES else ""
        raise InputError(
            f"There is no key {name}{alias} in {', '.join(places[:-1])} or {places[-1]}; set it with `export {name}=…`, or "
            f"write the line {name}=… into one of these files (mode 0600)."
        )
    return found


def find_key(name: str) -> str | None:
    """The key in variable `name` or its alias, from the first place that has it; None where no place has."""
    names = [name, *([_ALIASES[name]] if name in _ALIASES else [])]
    if found := _first(names, os.environ):
        return _checked(name, found)
    workspace = _workspace_file()
    if workspace and (found := _first(names, _read(workspace))):
        _notice_readers(workspace)
        return _checked(name, found)
    private = private_file()
    if private.is_file():
        if private.stat().st_mode & _OTHERS:
            raise InputError(f"{private} holds keys and can be read by others; run `chmod 600 {private}`.")
        if found := _first(names, _read(private)):
            return _checked(name, found)
    return None


def key_for(base_url: str, name: str) -> str:
    """The key to send to a server. One on this machine needs none, and never gets the default one: who listens on a port of a
    shared machine is not certain. A key of its own (a variable by another name) it does get.
    """
    if not on_this_machine(base_url):
        return key(name)
    return (find_key(name) if name and name != DEFAULT else None) or _PLACEHOLDER


def on_this_machine(base_url: str) -> bool:
    return (urlsplit(base_url).hostname or "") in ("127.0.0.1", "localhost", "::1")


def scrub(text: str, secret: str) -> str:
    """`text` without the key: servers repeat keys in their complaints."""
    return text.replace(secret, HIDDEN) if len(secret) >= _SHORTEST else text


def private_file() -> Path:
    return Path.home() / ".config" / "tiller" / "keys.env"


def _workspace_file() -> Path | None:
    try:
        path = find_workspace().root / ".env"
    except InputError:  # a key is also wanted outside a workspace
        return None
    return path


def _first(names: list[str], values) -> str | None:
    return next((found for name in names if (found := (values.get(name) or "").strip())), None)


def _read(path: Path) -> dict[str, str | None]:
    """Literally: a `$` in a key is part of the key."""
    try:
        return dotenv_values(path, interpolate=False) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); it should be a text file of lines NAME=value.") from error


def _notice_readers(path: Path) -> None:
    if path.stat().st_mode & _OTHERS and path not in _noticed:
        _noticed.add(path)
        notice(f"{path} holds keys and can be read by others; `chmod 600 {path}` mends that")


def _checked(name: str, found: str) -> str:
    if not (found.isascii() and found.isprintable()) or " " in found:
        raise InputError(
            f"The value of {name} holds characters that no key has (a space, a line break, an accent); copy it again."
        )
    return found
