"""What an arm does at a site: one edit from its kind, its multiplier and what was learnt (§3.2, §4).

Owns the choice among the kinds, nothing of their arithmetic. It reads no files.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, zeros_like

from engine.edits import Edit
from engine.errors import InputError
from engine.families import Site
from engine.steering.editing.editors import Editors
from engine.steering.editing.linear import erased_and_added, is_short, oracle, projected_and_added
from engine.steering.settings import EditKind


def make_edit(
    kind: EditKind,
    site: Site,
    multiplier: float,
    vector: Tensor,
    mean: Tensor,
    editors: Editors | None = None,
    label: float | None = None,
    legacy: bool = False,
) -> Edit:
    """The edit of one arm at `site`.

    vector: [hidden], what the multiplier counts, already scaled and normalised; mean: [hidden], the mean of all examples'
    states at this site (`<site>/mean` of the vectors file); label: z − z̄ of the row, see `centred_label`, for `oracle` only;
    legacy: orth is the identity where the vector is short, as published.
    """
    if kind == "none":
        return multiplier * vector
    if kind == "project":
        return projected_and_added(multiplier, vector)
    if kind == "orth":
        return multiplier * vector if legacy and is_short(vector) else erased_and_added(multiplier, vector, vector, mean)
    if kind == "oracle":
        assert label is not None, "the oracle edit needs the row's label"
        return oracle(multiplier, vector, label)
    assert editors is not None, f"the {kind} edit needs its editors"
    if kind == "leace":
        return erased_and_added(multiplier, vector, editors.functional(site), mean)
    if kind == "scrub":
        return editors.link(site, multiplier)
    if multiplier == 0:
        return zeros_like(vector)  # quad and quadlda leave a state where it is
    return editors.transport(site, up=multiplier > 0)


def centred_label(name: str | None, target: str, sizes: Mapping[str, int]) -> float:
    """z − z̄ of a row whose class is `name`: z is 1 for the target class, 0 for the others, z̄ its mean over the examples.

    sizes: examples of each class, as in the vectors' header."""
    if name not in sizes:
        said = "no class" if name is None else f"the class '{name}'"
        raise InputError(
            f"The oracle edit must know the class of everything it is asked, but a question has {said} and the vectors are of "
            f"{', '.join(sizes)}; use data whose prompts are labelled with these, or another --edit."
        )
    return float(name == target) - sizes[target] / sum(sizes.values())
