"""Where the steering steps get their data: the demo's own, or a folder in the layout of the CAA or steering-llama3 data sets.

Owns the choice between them. Everything is validated below here, so later code trusts it. No torch.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import InputError
from engine.steering.data import demo, folder
from engine.steering.data.questions import SteeringData
from engine.steering.settings import ContrastKind


def load_data(dataset: str, behavior: str, contrast: ContrastKind | None, hold_out: int) -> SteeringData:
    """The data of one behaviour; the error names what is unknown or malformed, where, and what there is."""
    if dataset == "demo":
        return demo.load(behavior, contrast)
    root = Path(dataset).expanduser()
    if not root.is_dir():
        raise InputError(
            f"Data set {dataset} is neither 'demo' nor a folder; give a folder with {' and '.join(folder.NEEDED_FILES)}."
        )
    return folder.load(root, behavior, contrast, hold_out)
