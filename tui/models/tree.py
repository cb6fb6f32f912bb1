"""The graph of a run as an indented tree: each task under the one that all its needs lead through.

A task with one need hangs under it. A task with several hangs under their nearest common ancestor (or at the root), where
none of its branches is preferred; what exactly it needs is told in words. Declaration order decides among neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DEEPEST = 8
"""Levels that are drawn; what lies deeper keeps this indentation, so that names stay on the screen."""


def tree(after: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """(task id, its prefix of branches) from the top down. after: what each task needs, in declaration order."""
    parents = _parents(after)
    children: dict[str | None, list[str]] = {}
    for name in after:
        children.setdefault(parents[name], []).append(name)
    rows: list[tuple[str, str]] = []
    pending = [(name, "", "", 0) for name in reversed(children.get(None, []))]
    while pending:
        name, own, below, depth = pending.pop()
        rows.append((name, own))
        following = children.get(name, [])
        for position in range(len(following) - 1, -1, -1):
            last = position == len(following) - 1
            drawn = below if depth < DEEPEST else below[:-3]
            pending.append(
                (following[position], drawn + ("└─ " if last else "├─ "), drawn + ("   " if last else "│  "), depth + 1)
            )
    return rows


def _parents(after: Mapping[str, Sequence[str]]) -> dict[str, str | None]:
    parents: dict[str, str | None] = {}
    depths: dict[str, int] = {}
    for name in _in_order(after):
        needs = [need for need in dict.fromkeys(after[name]) if need in after]
        parent: str | None = needs[0] if needs else None
        for need in needs[1:]:
            parent = _meeting(parent, need, parents, depths)
        parents[name] = parent
        depths[name] = depths[parent] + 1 if parent is not None else 0
    return parents


def _meeting(left: str | None, right: str | None, parents: Mapping[str, str | None], depths: Mapping[str, int]) -> str | None:
    """The nearest common ancestor of two tasks in the tree, or None for the root."""
    while left is not None and right is not None and left != right:
        if depths[left] >= depths[right]:
            left = parents[left]
        else:
            right = parents[right]
    return left if left == right else None


def _in_order(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Needs before what needs them. The server refused circles; one from elsewhere is cut."""
    ordered: dict[str, None] = {}
    opened: set[str] = set()
    for root in after:
        pending = [root]
        while pending:
            name = pending[-1]
            if name in ordered:
                pending.pop()
                continue
            waiting = [need for need in after[name] if need in after and need not in ordered and need not in opened]
            opened.add(name)
            if waiting:
                pending += waiting
            else:
                ordered[name] = None
                pending.pop()
    return list(ordered)
