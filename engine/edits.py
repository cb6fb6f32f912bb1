"""Changing hidden states at the chosen positions, another change in every row: an addition, a slide, a transport.

Owns the arithmetic of steering inside a forward pass (CAA §3, concept editing §4). Rows belong to arms of an experiment, so one
batch holds every multiplier, layer, edit and control vector at once. It does not know how directions and maps are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from engine.errors import InputError
from engine.families import Site
from engine.hooks import Change, edited
from engine.models import LoadedModel, module_device


@dataclass(frozen=True, eq=False)
class Slide:
    """h ← h + (at − ⟨reader, h⟩)·direction: every rank-one edit. With ⟨reader, direction⟩ = 1 the coordinate ⟨reader, h⟩ is
    `at` afterwards, whatever it was before. direction, reader: [hidden]."""

    direction: Tensor
    reader: Tensor
    at: float

    def moved(self, h: Tensor) -> Tensor:
        """h: [..., hidden]."""
        return h + (self.at - h @ self.reader)[..., None] * self.direction


@dataclass(frozen=True, eq=False)
class Transport:
    """h ← scale·d + U·core·Uᵀd + target with d = h − source: an affine map that is a multiple of the identity outside the span
    of the orthonormal columns of `basis`, U: [hidden, rank]; core: [rank, rank]; source, target: [hidden].

    With a gate ([hidden]) it moves only states with ⟨gate, h⟩ > threshold."""

    basis: Tensor
    core: Tensor
    scale: float
    source: Tensor
    target: Tensor
    gate: Tensor | None = None
    threshold: float = 0.0

    def moved(self, h: Tensor) -> Tensor:
        """h: [..., hidden]."""
        d = h - self.source
        there = self.scale * d + ((d @ self.basis) @ self.core.mT) @ self.basis.mT + self.target
        return there if self.gate is None else torch.where((h @ self.gate > self.threshold)[..., None], there, h)

    def to(self, device: torch.device, dtype: torch.dtype) -> Transport:
        basis, core, source, target = (part.to(device, dtype) for part in (self.basis, self.core, self.source, self.target))
        gate = None if self.gate is None else self.gate.to(device, dtype)
        return Transport(basis, core, self.scale, source, target, gate, self.threshold)


Edit = Tensor | Slide | Transport
"""A tensor is added: m·v, [hidden]."""
Arm = Mapping[Site, Edit]
"""What is done in one arm of an experiment, by site. An empty arm is unsteered."""


class Edits:
    """The arms' edits, each on its site's own device, put there once."""

    def __init__(self, model: LoadedModel, arms: Sequence[Arm]) -> None:
        self._model = model
        self._aim = _Aim()
        self._tables: dict[Site, list[_Additions | _Slides | _Transports]] = {}
        for site in sorted({site for arm in arms for site in arm}):
            edits = [arm.get(site) for arm in arms]
            for edit in edits:
                _check_width(model, site, edit)
            where = module_device(model.module(site)), model.model.dtype
            added, slid, moved = _of(Tensor, edits), _of(Slide, edits), _of(Transport, edits)
            self._tables[site] = [
                *([_Additions(added, *where)] if any(edit is not None for edit in added) else []),
                *([_Slides(slid, *where)] if any(slid) else []),
                *([_Transports(moved, *where)] if any(moved) else []),
            ]

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hook the sites. Nothing is changed until `select` and `aim` have said in which rows and positions."""
        with edited(self._model, {site: self._changed(site) for site in self._tables}):
            yield

    def select(self, arms: Tensor) -> None:
        """Give every row of the coming batches its arm. arms: [batch] indices."""
        for tables in self._tables.values():
            for table in tables:
                table.select(arms)

    def aim(self, mask: Tensor) -> None:
        """Choose the positions of the next forward pass. mask: [batch, seq] bool, on the CPU."""
        self._aim = _Aim(mask)

    def _changed(self, site: Site) -> Change:
        tables = self._tables[site]  # looked up once: this runs at every layer of every step

        def change(h: Tensor) -> Tensor | None:
            if self._aim.nowhere:
                return None
            found = None
            for table in tables:
                if table.acts:
                    found = table.changed(h if found is None else found, self._aim)
            return found

        return change


class _Aim:
    """Where the next pass is changed. The mask goes to each device once, not once per site."""

    def __init__(self, mask: Tensor | None = None) -> None:
        self.nowhere = mask is None or not bool(mask.any())
        self.everywhere = mask is not None and bool(mask.all())
        self._masks = {} if mask is None else {mask.device: mask}

    def mask(self, device: torch.device) -> Tensor:
        """[batch, seq, 1] bool."""
        if device not in self._masks:
            self._masks[device] = next(iter(self._masks.values())).to(device)
        return self._masks[device][:, :, None]


class _Additions:
    """h + m·v, in the model's dtype. Number 0 of the table is for rows to which nothing is added."""

    def __init__(self, edits: Sequence[Tensor | None], device: torch.device, dtype: torch.dtype) -> None:
        some = [edit for edit in edits if edit is not None]
        self._numbers = _numbers(edits)
        self._table = torch.stack([torch.zeros_like(some[0]), *some]).to(device, dtype)  # [1 + vectors, hidden]
        self._rows = self._table
        self.acts = False

    def select(self, arms: Tensor) -> None:
        numbers = self._numbers[arms]
        self.acts = bool(numbers.any())
        self._rows = self._table[numbers.to(self._table.device)][:, None]  # [batch, 1, hidden]

    def changed(self, h: Tensor, aim: _Aim) -> Tensor:
        rows = self._rows.to(h.dtype)
        if not aim.everywhere:
            rows = torch.where(aim.mask(h.device), rows, 0)
        return h + rows if h.ndim == 3 else (_by_rows(h, len(rows)) + rows).view_as(h)


class _Slides:
    """Rank-one edits, measured and moved in float32 at least and rounded once. Number 0 of the tables moves nothing."""

    def __init__(self, edits: Sequence[Slide | None], device: torch.device, dtype: torch.dtype) -> None:
        some = [edit for edit in edits if edit is not None]
        self._numbers = _numbers(edits)
        exact = torch.promote_types(dtype, torch.float32)
        zero = torch.zeros_like(some[0].direction)
        self._directions = torch.stack([zero, *(slide.direction for slide in some)]).to(device, exact)
        self._readers = torch.stack([zero, *(slide.reader for slide in some)]).to(device, exact)
        self._ats = torch.tensor([0.0, *(slide.at for slide in some)], dtype=torch.float64).to(device, exact)
        self._rows = (self._directions, self._readers, self._ats)
        self.acts = False

    def select(self, arms: Tensor) -> None:
        numbers = self._numbers[arms]
        self.acts = bool(numbers.any())
        numbers = numbers.to(self._ats.device)
        self._rows = (
            self._directions[numbers][:, None],  # [batch, 1, hidden]
            self._readers[numbers][:, :, None],  # [batch, hidden, 1]
            self._ats[numbers][:, None, None],
        )

    def changed(self, h: Tensor, aim: _Aim) -> Tensor:
        directions, readers, ats = self._rows
        rows = _by_rows(h, len(ats)).to(ats.dtype)
        way = ats - rows @ readers  # [batch, seq, 1]
        if not aim.everywhere:
            way = torch.where(aim.mask(h.device), way, 0)
        return torch.baddbmm(rows, way, directions).to(h.dtype).view_as(h)


class _Transports:
    """Affine maps, each on the rows that have it, in float32 at least."""

    def __init__(self, edits: Sequence[Transport | None], device: torch.device, dtype: torch.dtype) -> None:
        self._exact = torch.promote_types(dtype, torch.float32)
        distinct = list(dict.fromkeys(edit for edit in edits if edit is not None))  # multipliers of one sign share a map
        self._maps = [transport.to(device, self._exact) for transport in distinct]
        places = {transport: number for number, transport in enumerate(distinct, 1)}
        self._numbers = torch.tensor([0 if edit is None else places[edit] for edit in edits])
        self._device = device
        self._batch = 0
        self._rows: list[tuple[Transport, Tensor]] = []  # a map and the rows it moves
        self.acts = False

    def select(self, arms: Tensor) -> None:
        numbers = self._numbers[arms]
        self.acts = bool(numbers.any())
        self._batch = len(arms)
        present = [(map_, (numbers == number).nonzero()[:, 0]) for number, map_ in enumerate(self._maps, 1)]
        self._rows = [(map_, rows.to(self._device)) for map_, rows in present if len(rows)]

    def changed(self, h: Tensor, aim: _Aim) -> Tensor:
        there = _by_rows(h, self._batch).clone()
        for map_, rows in self._rows:
            before = there[rows]
            after = map_.moved(before.to(self._exact)).to(h.dtype)
            there[rows] = after if aim.everywhere else torch.where(aim.mask(h.device)[rows], after, before)
        return there.view_as(h)


_Kind = TypeVar("_Kind", Tensor, Slide, Transport)


def _of(kind: type[_Kind], edits: Sequence[Edit | None]) -> list[_Kind | None]:
    return [edit if isinstance(edit, kind) else None for edit in edits]


def _numbers(edits: Sequence[object | None]) -> Tensor:
    """For each arm the number of its edit in a table, from 1; 0 where it has none."""
    count = 0
    numbers = []
    for edit in edits:
        count += edit is not None
        numbers.append(count if edit is not None else 0)
    return torch.tensor(numbers)


def _by_rows(h: Tensor, batch: int) -> Tensor:
    """h: [batch, seq, hidden], or [batch·seq, hidden] for OPT's mlp → [batch, seq, hidden]."""
    return h if h.ndim == 3 else h.view(batch, -1, h.shape[-1])


def _check_width(model: LoadedModel, site: Site, edit: Edit | None) -> None:
    if edit is None:
        return
    part = edit if isinstance(edit, Tensor) else edit.direction if isinstance(edit, Slide) else edit.source
    if part.shape != (model.hidden_size,):
        raise InputError(
            f"The vector for {site.name} is {part.shape[-1]} wide, but the hidden states of {model.name} are "
            f"{model.hidden_size} wide; use a vector that was made with this model."
        )
