"""A folder of data in the layout of the CAA repository (`generate/`, `test/`), or of steering-llama3 (`CAA/` with these, and
`harm_dataset.csv` beside it).

Owns the layout: which files a contrast and its questions come from, and what is held out. What stands in the files is read by
the modules beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine.data import Contrast
from engine.errors import InputError
from engine.steering.data import behaviors, classes, harm, knowledge
from engine.steering.data.questions import Questions, SteeringData
from engine.steering.settings import ContrastKind

NEEDED_FILES = (
    f"generate/<behavior>/{behaviors.PAIRS}",
    f"test/<behavior>/{behaviors.TEST_ITEMS}",
)
_REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Layout:
    """`root` holds generate/ and test/; `harm` is the table of harmful and harmless prompts, where there is one."""

    root: Path
    harm: Path | None

    @classmethod
    def find(cls, folder: Path) -> Layout:
        """`folder` is the one that has generate/, or one above it: the repositories' datasets/, or the repository itself."""
        below = (folder, folder / "CAA", folder / "datasets", folder / "datasets" / "CAA")
        root = next((place for place in below if (place / "generate").is_dir()), folder)
        tables = (place / harm.FILE for place in (root, root.parent, folder))
        return cls(root, next((table for table in tables if table.is_file()), None))

    def generate(self, behavior: str) -> Path:
        return self.root / "generate" / behavior

    def test(self, behavior: str) -> Path:
        return self.root / "test" / behavior

    def behaviors(self) -> list[str]:
        """Those with A/B pairs."""
        return sorted(path.parent.name for path in self.root.glob(f"generate/*/{behaviors.PAIRS}"))


def load(folder: Path, behavior: str, contrast: ContrastKind | None, hold_out: int) -> SteeringData:
    layout = Layout.find(folder)
    named = classes.find(layout.root, behavior)
    if contrast == "classes" or (contrast is None and named):
        data = _classes(layout, behavior, named)
    elif contrast in ("prompts", "caa", "opencon", "abcon"):
        data = _harm(layout, folder, behavior, contrast, hold_out)
    else:
        data = _behavior(layout, folder, behavior, contrast or "ab", hold_out)
    test = replace(data.test, truthfulqa=knowledge.truthfulqa(layout.root), mmlu=knowledge.mmlu(layout.root))
    return replace(data, test=test)


def _behavior(layout: Layout, folder: Path, behavior: str, kind: behaviors.PairKind, hold_out: int) -> SteeringData:
    """Pairs of a behaviour's own files. `harm` is refusal's pairs, asked the harmful and harmless prompts."""
    source = _REFUSAL if behavior == harm.BEHAVIOR else behavior
    known = layout.behaviors()
    if source not in known:
        also = [*known, *classes.known(layout.root), *([harm.BEHAVIOR] if layout.harm else [])]
        if not also:
            raise InputError(
                f"{folder} has no generate/<behavior>/{behaviors.PAIRS} in it; name the folder that has generate/."
            )
        raise InputError(f"Data set {folder} has no behaviour '{behavior}'; it has {', '.join(also)}.")
    made, held_out = behaviors.contrast(layout.generate(source), kind, hold_out)
    test = behaviors.questions(layout.test(source))
    if behavior == harm.BEHAVIOR:
        test = replace(test, prompts=harm.prompts(_table(layout, folder)))
    return SteeringData(made, Questions(held_out), test)


def _harm(layout: Layout, folder: Path, behavior: str, kind: harm.HarmKind, hold_out: int) -> SteeringData:
    """The table's contrasts are about refusing; the layer is chosen on held-out A/B items of it where it has any."""
    if behavior not in (_REFUSAL, harm.BEHAVIOR):
        raise InputError(
            f"The contrast '{kind}' is made of harmful and harmless prompts, so its behaviour is refusal, not '{behavior}'; "
            "give --behavior refusal, or another --contrast."
        )
    table = _table(layout, folder)
    held_out, items = (), ()
    if _REFUSAL in layout.behaviors():
        held_out = behaviors.held_out(layout.generate(_REFUSAL), hold_out)
        items = behaviors.questions(layout.test(_REFUSAL)).items
    return SteeringData(harm.contrast(table, kind), Questions(held_out), Questions(items, harm.prompts(table)))


def _table(layout: Layout, folder: Path) -> Path:
    if layout.harm is None:
        raise InputError(
            f"Data set {folder} has no {harm.FILE} in it or above its generate/; put one there "
            "(columns prompt, label, refusal, nonrefusal)."
        )
    return layout.harm


def _classes(layout: Layout, behavior: str, named: tuple[str, str] | None) -> SteeringData:
    if named is None:
        known = ", ".join(classes.known(layout.root)) or "none"
        raise InputError(
            f"'{behavior}' is no class of generate/<behavior>/{classes.FILE} in {layout.root}; "
            f"give --behavior one of <behavior>.<class>: it has {known}."
        )
    source, target = named
    made: Contrast = classes.contrast(layout.generate(source) / classes.FILE, target)
    return SteeringData(made, Questions(), Questions(prompts=behaviors.open_prompts(layout.test(source))))
