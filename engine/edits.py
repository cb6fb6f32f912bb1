"""Adding vectors to hidden states: h ← h + m·v at the chosen positions, another m·v in every row.

Owns the arithmetic of plain steering (CAA §3) inside a forward pass. Rows belong to arms of an experiment, so one batch holds
every multiplier, layer and control vector at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from engine.families import Site
from engine.hooks import Edit, edited
from engine.models import LoadedModel, module_device

Arm = Mapping[Site, Tensor]
"""What is added in one arm: site → m·v, [hidden] float32. An empty arm is unsteered."""


class Edits:
    """The arms' vectors, each on its site's own device and in the model's dtype, put there once."""

    def __init__(self, model: LoadedModel, arms: Sequence[Arm]) -> None:
        self._model = model
        self._tables: dict[Site, Tensor] = {}  # [arms, hidden]
        self._rows: dict[Site, Tensor] = {}  # [batch, 1, hidden]
        self._mask: Tensor | None = None  # [batch, seq, 1] bool
        dtype = model.model.dtype
        for site in sorted({site for arm in arms for site in arm}):
            zero = torch.zeros(model.hidden_size)
            table = torch.stack([arm.get(site, zero).float() for arm in arms])
            self._tables[site] = table.to(module_device(model.module(site)), dtype)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hook the sites. Nothing is added until `select` and `aim` have said to which rows and positions."""
        with edited(self._model, {site: self._edit(site) for site in self._tables}):
            yield

    def select(self, arms: Tensor) -> None:
        """Give every row of the coming batches its arm. arms: [batch] indices."""
        self._rows = {site: table[arms.to(table.device)][:, None] for site, table in self._tables.items()}

    def aim(self, mask: Tensor) -> None:
        """Choose the positions of the next forward pass. mask: [batch, seq] bool, on the CPU."""
        self._mask = mask[:, :, None] if bool(mask.any()) else None

    def _edit(self, site: Site) -> Edit:
        def add(h: Tensor) -> Tensor | None:
            if self._mask is None:
                return None
            pushed = torch.where(self._mask.to(h.device), self._rows[site].to(h.dtype), 0)
            return h + pushed.view_as(h)

        return add
