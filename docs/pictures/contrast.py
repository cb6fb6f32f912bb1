"""Make `contrast.png`: what `tiller cd decode --show` prints in a terminal with colours, on the demo models.

    python docs/pictures/contrast.py

The command runs in a temporary workspace, on a terminal of its own; rich draws what it prints.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from make import write_png  # pyright: ignore[reportMissingImports]  beside this file
from rich.console import Console
from rich.text import Text

WIDTH = 84
COMMAND = ["cd", "decode", "--prompt", "Tell me about plums, a kind of food.", "Tell me about owls, a kind of animal."]
SHOWN = ["--samples", "2", "--show"]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tiller-pictures-") as folder:
        (Path(folder) / "tiller.toml").touch()
        printed = in_terminal([str(Path(sys.executable).with_name("tiller")), *COMMAND, *SHOWN], folder)
    console = Console(width=WIDTH, record=True, file=StringIO(), force_terminal=True)
    words = [f"'{word}'" if " " in word else word for word in COMMAND]
    console.print(f"$ tiller {' '.join(words)} {' '.join(SHOWN)}", highlight=False)
    console.print(Text.from_ansi(printed))
    write_png(console.export_svg(title="tiller cd decode --show"), "contrast.png")
    return 0


def in_terminal(command: list[str], folder: str) -> str:
    """What the command prints where it sees a terminal of 24-bit colours."""
    reader, terminal = pty.openpty()
    settings = {"COLORTERM": "truecolor", "COLUMNS": str(WIDTH), "TILLER_WORKSPACE": folder}
    process = subprocess.Popen(command, stdout=terminal, stderr=subprocess.DEVNULL, env={**os.environ, **settings})
    os.close(terminal)
    printed = b""
    try:
        while part := os.read(reader, 65536):
            printed += part
    except OSError:  # how a terminal ends
        os.close(reader)
    if process.wait():
        raise SystemExit(f"{command} failed")
    return printed.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    sys.exit(main())
