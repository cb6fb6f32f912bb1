"""What the operational verbs share on their command lines: the workspace option, and run selectors."""

from __future__ import annotations

import argparse
from pathlib import Path

from gpu_graph.workspace import find_workspace


def parser(verb: str, description: str) -> argparse.ArgumentParser:
    """A verb's parser with the option every verb has. Wrong arguments exit with 2, argparse's way."""
    made = argparse.ArgumentParser(prog=f"tiller {verb}", description=description, allow_abbrev=False)
    made.add_argument("--workspace", metavar="DIR", help="the workspace (default: the nearest one above this directory)")
    return made


def workspace_of(arguments: argparse.Namespace) -> Path:
    """Raises GraphError when there is none."""
    return find_workspace(Path.cwd(), arguments.workspace)


RUN_HELP = "a run's id, a unique beginning or end of one, or last"
