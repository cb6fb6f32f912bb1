"""Prompts without an assistant: the two models write them, and prompts of the bank are cut, refilled and mixed.

Owns the ways in which a prompt changes. With the choice of what goes on (`bank.py`) this is an evolutionary search: a tool for
machines without an assistant, and a baseline for those with one. All draws come of the seed, the repeat, the attempt and the
proposal's number.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.cd.search.proposing import Proposal
from engine.cd.search.records import Entry
from engine.cd.search.settings import SearchSettings
from engine.cd.search.weighting import unit

if TYPE_CHECKING:
    from engine.cd.pairs.pair import Member, Pair

_LONGEST_SPAN = 4  # words that are refilled or swapped at once


@dataclass(frozen=True, slots=True)
class _Draft:
    """A prompt to be written. kept: the words that a model goes on from; taken: how many words of what it writes (None: all);
    tail: what follows them."""

    kept: str
    taken: int | None
    tail: tuple[str, ...]


class OfflineProposer:
    def __init__(self, settings: SearchSettings, opened: Callable[[], Pair]) -> None:
        """settings: resolved. opened: the two models, loaded at the first proposal."""
        assert settings.proposals is not None
        self._settings, self._opened, self._count = settings, opened, settings.proposals

    def propose(self, shown: Sequence[Entry], repeat: int, attempt: int) -> Proposal:
        settings, pair = self._settings, self._opened()
        written: dict[int, str] = {}
        drafts: dict[str, dict[int, _Draft]] = {"starting": {}, "comparison": {}}
        for number in range(self._count):
            r = random.Random(f"offline {settings.seed} {repeat} {attempt} {number}")
            made = _change(r, [entry.prompt for entry in shown], settings.fresh)
            if isinstance(made, str):
                written[number] = made
            else:
                drafts[r.choice(list(drafts))][number] = made
        for name, asked in drafts.items():
            member: Member = getattr(pair, name)
            seeds = [int(unit("written", settings.seed, repeat, attempt, number) * 2**62) for number in asked]
            texts = _continued(pair, member, [draft.kept for draft in asked.values()], seeds, settings)
            for (number, draft), text in zip(asked.items(), texts, strict=True):
                written[number] = _joined(draft, text)
        return Proposal(tuple(written[number] for number in range(self._count)))


def _change(r: random.Random, prompts: Sequence[str], fresh: float) -> str | _Draft:
    """Another prompt, whole (a swap) or to be written by a model: from nothing, from a beginning, or in the middle."""
    if not prompts or r.random() < fresh:
        return _Draft("", None, ())
    words = r.choice(prompts).split(" ")
    begin = r.randrange(len(words))
    end = min(len(words), begin + r.randint(1, _LONGEST_SPAN))
    way = r.choice(("continue", "refill", "swap"))
    if way == "continue":
        return _Draft(" ".join(words[:begin]), None, ())
    if way == "refill":
        return _Draft(" ".join(words[:begin]), r.randint(1, _LONGEST_SPAN), tuple(words[end:]))
    other = r.choice(prompts).split(" ")
    start = r.randrange(len(other))
    return " ".join([*words[:begin], *other[start : start + r.randint(1, _LONGEST_SPAN)], *words[end:]])


def _joined(draft: _Draft, text: str) -> str:
    """text: what was kept and what the model wrote behind it."""
    if draft.taken is None:
        return text
    kept = len(draft.kept.split(" ")) if draft.kept else 0
    return " ".join([*text.split(" ")[: kept + draft.taken], *draft.tail])


def _continued(
    pair: Pair, member: Member, beginnings: Sequence[str], seeds: Sequence[int], settings: SearchSettings
) -> list[str]:
    """Each beginning with what the model puts behind it, as a user's turn or as a text, whichever prompts are."""
    from engine.generation import Row, generate
    from engine.sampling import Sampling

    model = member.model
    begun = [_beginning(pair, member, text, settings.form == "chat") for text in beginnings]
    rows = [Row((*before, *content), seed) for (before, content), seed in zip(begun, seeds, strict=True)]
    sampling = Sampling(settings.proposed_tokens, settings.proposal_temperature)
    written = generate(model, rows, sampling, member.steering, settings.batch_size)
    found = {index: completion.ids for index, completion in written}
    return [model.decode((*content, *found[index])) for index, (_, content) in enumerate(begun)]


def _beginning(pair: Pair, member: Member, text: str, chat: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tokens of what stands before a prompt, and of the prompt's beginning. Where a tokenizer begins texts with nothing, its
    token for a beginning stands before the first, or that for an end."""
    from engine.cd.prompts.asked import begin_ids, speaker
    from engine.chats import open_user_turn

    if chat:
        return open_user_turn(speaker(pair), text)
    tokenizer = member.model.tokenizer
    marks = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    before = begin_ids(tokenizer) or tuple(mark for mark in marks if isinstance(mark, int))[:1]
    content = tokenizer(text, add_special_tokens=False)["input_ids"]
    return before, tuple(content)  # pyright: ignore  ids are numbers, and one text gives one list of them
