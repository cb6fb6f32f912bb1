"""What is compared with what: two sets as a whole and region by region, or each cluster of one set with the rest.

Owns the list of comparisons and the refusal of those with too few texts: these are named, never scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.texts import Part, Texts

_SPREAD = 2  # prompts that a group must be spread over, else the prompt is the finding


@dataclass(frozen=True)
class Comparison:
    """positive: [texts]. among: [texts], which are compared at all. region: of the clusters, where it is about one."""

    name: str
    positive: NDArray[np.bool_]
    among: NDArray[np.bool_]
    region: int | None = None

    def positions(self, texts: Texts, part: Part, positive: bool) -> NDArray[np.intp]:
        """Of the texts of one group in one part."""
        return np.flatnonzero(self.among & texts.part(part) & (self.positive == positive))


def of_two_sets(texts: Texts, regions: NDArray[np.intp], region_names: list[str]) -> list[Comparison]:
    """Either set over the other, as a whole, then in each region that is not the whole. regions: [texts]."""
    everywhere = np.ones(len(texts), dtype=bool)
    places = [(None, "", everywhere)]
    inside = [(at, f" in {name}", regions == at) for at, name in enumerate(region_names)]
    places += [place for place in inside if not place[2].all()]
    one, other = texts.names
    return [
        Comparison(f"{this} over {that}{where}", positive, among, region)
        for region, where, among in places
        for this, that, positive in ((one, other, texts.first), (other, one, ~texts.first))
    ]


def of_one_set(texts: Texts, clusters: NDArray[np.intp], names: list[str]) -> list[Comparison]:
    """Each cluster over all other texts, then the half that diverges more over the other. clusters: [texts].

    The halves are cut at the median of the texts that are not tested on.
    """
    everywhere = np.ones(len(texts), dtype=bool)
    found = [Comparison(f"{name} over the rest", clusters == at, everywhere, at) for at, name in enumerate(names)]
    divergences = np.array([text.divergence for text in texts.all])
    seen = divergences[texts.part("label", "select") & np.isfinite(divergences)]
    if len(seen) and seen.min() < seen.max():
        measured = np.isfinite(divergences)
        found.append(Comparison("high over low divergence", divergences > np.median(seen), measured))
    return found


def too_few(comparison: Comparison, texts: Texts, smallest: int) -> str | None:
    """Why it cannot be made, in a few words: `smallest` texts of either group to write from and to test on, of two prompts."""
    uses: tuple[tuple[Part, str], ...] = (("label", "to write labels from"), ("test", "to test on"))
    for part, use in uses:
        for positive in (True, False):
            positions = comparison.positions(texts, part, positive)
            side = "positive" if positive else "negative"
            if len(positions) < smallest:
                return f"{len(positions)} {side} texts {use}, {smallest} are needed"
            if texts.unit == "prompt" and len(np.unique(texts.prompts[positions])) < _SPREAD:
                return f"the {side} texts {use} are all answers to one prompt"
    return None


def size_fault(size: int, smallest: int, largest: int | None) -> str | None:
    """Why a cluster of that many texts is not labelled."""
    if size < smallest:
        return f"{size} texts, --min-cluster-size is {smallest}"
    if largest is not None and size > largest:
        return f"{size} texts, --max-cluster-size is {largest}"
    return None
