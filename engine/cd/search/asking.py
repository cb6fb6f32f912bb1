"""An assistant that is shown what was found and asked for more (§4.3, §4.4).

Owns the messages and what happens with a reply that cannot be read. Replies are kept by whoever passes `ask`, so that a search
that goes on asks nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.assistants.json_object import find_object
from engine.assistants.raw_replies import answered
from engine.cd.search.criterion import Ask
from engine.cd.search.parsing import hypotheses_of, lines_of, prompts_of
from engine.cd.search.proposing import Proposal
from engine.cd.search.records import Entry
from engine.cd.search.settings import SearchSettings, Shown
from engine.cd.search.weighting import rescale, unit
from engine.cd.search.wording import COUNT, Wording
from engine.data import Chat, Message
from engine.remote.types import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOP = 10.0  # divergences are shown from 0 to this


class AssistantProposer:
    def __init__(self, settings: SearchSettings, wording: Wording, ask: Ask) -> None:
        """settings: resolved."""
        assert settings.proposals is not None
        assert settings.shown_divergences is not None
        self._settings, self._wording, self._ask = settings, wording, ask
        self._count = settings.proposals
        self._shown: Shown = settings.shown_divergences

    def propose(self, shown: Sequence[Entry], repeat: int, attempt: int) -> Proposal:
        seed = (self._settings.seed, repeat, attempt)
        values = np.array([entry.divergence for entry in shown])
        if self._shown == "random":
            values = np.array([unit("shown", *seed, entry.prompt_id) for entry in shown])
        chat = messages([entry.prompt for entry in shown], values, self._shown, self._wording, self._count)
        draw = int(unit("asked", *seed) * 2**31)  # servers take 31 bits
        reply = self._said(Request(chat, self._settings.assistant_max_tokens, self._settings.assistant_temperature, draw))
        found = find_object(reply)
        if found is None or not prompts_of(found):
            mending = (Message("user", f"{self._wording.repair.strip()}\n\n{reply}"),)
            found = find_object(self._said(Request(mending, self._settings.assistant_max_tokens, 0.0, draw)))
        if found is not None and (prompts := prompts_of(found)):
            return Proposal(tuple(prompts), hypotheses=tuple(hypotheses_of(found)))
        if self._settings.newline_fallback and (lines := lines_of(reply)):
            return Proposal(tuple(lines))
        return Proposal((), "the assistant's reply holds no prompts")

    def _said(self, request: Request) -> str:
        (reply,) = answered(self._ask([request]))
        return reply.text or ""


def messages(prompts: Sequence[str], divergences: NDArray[np.float64], shown: Shown, wording: Wording, count: int) -> Chat:
    """The request for `count` prompts. Examples come the highest divergence first, rescaled to [0, 10] among themselves."""
    request = wording.request.strip().replace(COUNT, str(count))
    system = wording.system.strip()
    if len(prompts):
        system = f"{system}\n{wording.with_examples.strip()}".strip()
        scaled = rescale(divergences, _TOP)
        order = np.argsort(-scaled, kind="stable")
        lines = [
            (f"divergence {line}: {scaled[place]:.3f}, " if shown != "none" else "") + f"input text {line}: {prompts[place]}"
            for line, place in enumerate(order)
        ]
        request = "\n".join([*lines, request])
    return (*((Message("system", system),) if system else ()), Message("user", request))
