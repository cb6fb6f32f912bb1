"""`tiller init [DIR]`: make a workspace: folders, tiller.toml, an example run file, a .gitignore. Never overwrites anything."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from gpu_graph.errors import GraphError
from gpu_graph.workspace import FOLDERS


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(prog="tiller init", description="Make a workspace here or in DIR.")
    options.add_argument("folder", metavar="DIR", nargs="?", default=".", help="made if it is missing (default: here)")
    folder = Path(options.parse_args(argv).folder)
    made = []
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, place in (("tiller.toml", "tiller.toml"), ("example.py", "runs/example.py"), ("gitignore", ".gitignore")):
            target = folder / place
            if not target.exists():
                target.write_text(files("tui").joinpath("templates", f"{name}.txt").read_text())
                made.append(place)
    except OSError as error:
        raise GraphError(f"cannot make a workspace in {folder}: {error.strerror}: {error.filename}") from None
    print(f"workspace {folder.resolve()}" + (f": made {', '.join(made)}" if made else ": it was one already"))
    step = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    print(f"try it: {step}tiller run runs/example.py")
    return 0
