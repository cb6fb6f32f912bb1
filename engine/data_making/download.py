"""Fetching published files: each is whole and of the pinned hash before it has its name, so an interrupted command goes on.

Owns HTTP and what a reader is told when it fails. The files are small (the largest is 0.9 MB), so one is fetched in one go.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from engine.atomic import write_whole
from engine.data_making.published import PublishedFile
from engine.errors import EngineError, InputError
from engine.progress import Progress

_TIMEOUT = 30.0  # seconds without a byte


def fetch(files: Sequence[PublishedFile], source: str, folder: Path, overwrite: bool) -> int:
    """Bring the files below `folder`; → how many were fetched, the others were there."""
    missing = [file for file in files if not _there(folder / file.path, file, overwrite)]
    with Progress("get: files", len(files)) as progress:
        progress.advance(len(files) - len(missing))
        for file in missing:
            url = f"{source.rstrip('/')}/{file.commit}/datasets/{file.path}"
            content = _download(url, f"{progress.done} of {len(files)} files are there")
            sha256 = hashlib.sha256(content).hexdigest()
            if sha256 != file.sha256:
                raise EngineError(
                    f"{url} is not the published file: its sha256 is {sha256}, not {file.sha256}; nothing of it was kept. "
                    "Try another network, or a mirror with --source."
                )
            write_whole(folder / file.path, content)
            progress.advance()
    return len(missing)


def _there(path: Path, file: PublishedFile, overwrite: bool) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256:
            return True
    if not overwrite:
        raise InputError(
            f"{path} is there with other contents than the published file; move it away, or replace it with --overwrite."
        )
    return False


def _download(url: str, so_far: str) -> bytes:
    goes_on = f"{so_far}, and the same command goes on from them"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            return answer.read()  # to the announced end: a shorter answer raises IncompleteRead, which read(n) would not
    except urllib.error.HTTPError as error:
        raise EngineError(
            f"{url} cannot be had (HTTP {error.code}); check --source. {goes_on[0].upper()}{goes_on[1:]}."
        ) from error
    except http.client.IncompleteRead as error:
        raise EngineError(f"{url} broke off after {len(error.partial)} bytes; run the command again: {goes_on}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise EngineError(
            f"{url} cannot be reached ({reason}); run the command where there is a network, or copy the data set from there: "
            f"{goes_on}."
        ) from error
    except ValueError as error:
        raise InputError(f"--source {url} is no address ({error}); it begins with https://.") from error
