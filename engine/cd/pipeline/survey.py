"""A first look at explored prompts: clusters, what their texts are about, and what sets high divergence apart from low.

Owns the grouping and the choice of what is looked at. The words for it come from an assistant, or are terms that were counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.cd.pipeline.view import View
from engine.cd.prompts.asked import AskedPrompt

CLUSTERS = 5
SHOWN = 5
"""Prompts of high and of low divergence that a cluster is described by (§5.2)."""
TOP = 10
"""Prompts of all that the global analysis is about (§5.2)."""
_FEWEST = 4  # prompts of a cluster: a half of each kind
_TERMS = 4


@dataclass(frozen=True)
class Cluster:
    """Prompts with their texts, split at the median divergence; `terms` are those of its own."""

    prompts: tuple[AskedPrompt, ...]
    high: tuple[AskedPrompt, ...]
    low: tuple[AskedPrompt, ...]
    terms: tuple[str, ...]


def clusters(view: View) -> list[Cluster]:
    """K-means of TF-IDF vectors of prompts with the starting model's texts, the largest cluster first. Seeded: the same prompts
    give the same clusters."""
    prompts = view.by_divergence()
    if len(prompts) < 2 * _FEWEST:
        return []
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    documents = [
        " ".join([prompt.text, *(one.text for one in view.texts["starting"].get(prompt.id, ()))]) for prompt in prompts
    ]
    vectorizer = TfidfVectorizer(sublinear_tf=True, max_df=0.8, token_pattern=r"(?u)\b\w\w+\b")
    try:
        vectors = vectorizer.fit_transform(documents)
    except ValueError:  # no word of two letters is left: nothing tells the documents apart
        return []
    count = min(CLUSTERS, len(prompts) // _FEWEST)
    labels = KMeans(count, n_init=10, random_state=0).fit_predict(vectors)  # pyright: ignore  n_init may be a number
    groups: dict[int, list[int]] = {}
    for place, label in enumerate(labels.tolist()):
        groups.setdefault(label, []).append(place)
    names = vectorizer.get_feature_names_out()
    found = []
    for places in sorted(groups.values(), key=lambda places: (-len(places), places)):
        if len(places) < _FEWEST:
            continue
        weights = vectors[places].mean(axis=0).A1
        best = sorted(range(len(names)), key=lambda place: (-round(float(weights[place]), 9), names[place]))[:_TERMS]
        members = tuple(prompts[place] for place in places)  # in the order of divergence
        half = len(members) // 2
        terms = tuple(str(names[place]) for place in best if weights[place] > 0)
        found.append(Cluster(members, members[:half][:SHOWN], members[-half:][-SHOWN:], terms))
    return found


def mean_divergence(prompts: Sequence[AskedPrompt], divergences: Mapping[str, float]) -> float:
    return sum(divergences[prompt.id] for prompt in prompts) / len(prompts)
