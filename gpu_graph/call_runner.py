"""Runs one `graph.call` task: `python -m gpu_graph.call_runner TARGET KWARGS_FILE RESULT_FILE`, JSON in and JSON out."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_graph.files import write_whole


def load_target(target: str) -> Callable[..., Any]:
    """The function that "package.module:function" or "path/file.py:function" names. Raises ImportError or AttributeError."""
    where, _, name = target.rpartition(":")
    if where.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(where).stem, where)
        if spec is None or spec.loader is None or not Path(where).is_file():
            raise ImportError(f"there is no file {where}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    return getattr(module, name)


def main() -> int:
    target, kwargs_file, result_file = sys.argv[1:]
    sys.path.append(str(Path.cwd()))  # last, so that a folder of the user's never shadows an installed package
    result = load_target(target)(**json.loads(Path(kwargs_file).read_bytes()))
    try:
        encoded = json.dumps(result, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        print(f"{target} returned a {type(result).__name__}, which is not JSON: {error}", file=sys.stderr)
        return 1
    write_whole(Path(result_file), encoded)
    return 0


if __name__ == "__main__":
    sys.exit(main())
