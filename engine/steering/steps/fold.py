"""`tiller steer fold`: a steered model as a folder that any server can serve, checked against hooks before it is announced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from engine.atomic import whole_folder
from engine.errors import EngineError
from engine.identity import PROVENANCE
from engine.progress import notice
from engine.steering.experiment import Cell, Experiment, cells_of, describe, open_experiment
from engine.steering.fold_settings import FoldSettings
from engine.store import note_artifact

if TYPE_CHECKING:
    from torch import Tensor

    from engine.models import LoadedModel

_CHECKED_ON = 8  # examples of the contrast: every token of them is compared


def run(settings: FoldSettings) -> str:
    experiment = open_experiment(settings)
    (cell,) = cells_of(experiment, settings)
    workspace, folder = experiment.workspace, experiment.workspace.folded / cell.key
    if not (folder / PROVENANCE).is_file():
        _fold(experiment, settings, cell, folder)
    note_artifact(workspace, folder / PROVENANCE, "folded", cell.key)
    found = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["difference"]
    return f"fold {settings.behavior}: {describe([cell])}; logits as with hooks to {found:.1e} → {workspace.relative(folder)}"


def _fold(experiment: Experiment, settings: FoldSettings, cell: Cell, folder: Path) -> None:
    from engine.models import load_source  # torch, a second or more: only when there is something to compute
    from engine.steering.arms import open_arms
    from engine.steering.fold import fold, rounding, steered_logits

    arms = open_arms(experiment, settings)
    model = load_source(experiment.source, None, settings.device_map, settings.dtype)
    arms.check(model, [cell])
    arm, dtype = arms.arm(cell), model.model.dtype
    name = experiment.workspace.relative(folder)
    ids, valid = _checks(experiment, model)
    folded = fold(model, arm)
    wanted = steered_logits(model, arm, ids, valid)
    with whole_folder(folder) as temporary:
        folded.save_pretrained(temporary)
        model.tokenizer.save_pretrained(temporary)
        del model, folded  # their memory is needed for the model that is read back
        found = _reread(temporary, settings, wanted, ids, valid)
        if not found <= rounding(dtype):
            raise EngineError(
                f"The folded model's logits differ from the steered ones by {found:.1e} of the largest, more than rounding "
                f"explains ({rounding(dtype):.0e}), so it was not kept; fold with --dtype float32, or a smaller multiplier."
            )
        record = {
            "step": settings.step,
            "version": settings.VERSION,
            "settings": cell.settings.record(),
            "model": experiment.source.name,
            "inputs": cell.inputs,
            "difference": found,
        }
        (temporary / PROVENANCE).write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    notice(f"serve it with `vllm serve {name}` or `transformers serve {name}`")


def _checks(experiment: Experiment, model: LoadedModel) -> tuple[Tensor, Tensor]:
    """Token ids of some of the contrast's chats, of all classes, padded on the right."""
    from engine.chats import encode_chat
    from engine.forward import pad

    examples = experiment.data.contrast.examples()
    chosen = examples[:: max(1, len(examples) // _CHECKED_ON)][:_CHECKED_ON]
    return pad([encode_chat(model.tokenizer, example.chat).ids for example in chosen], "right")


def _reread(folder: Path, settings: FoldSettings, wanted: Tensor, ids: Tensor, valid: Tensor) -> float:
    """The `difference` of the model that is read from disk, as a server will."""
    from engine.identity import ModelSource
    from engine.models import load_source
    from engine.steering.fold import difference

    source = ModelSource(folder.name, str(folder), None, "")
    return difference(load_source(source, None, settings.device_map, settings.dtype), wanted, ids, valid)
