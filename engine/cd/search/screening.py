"""Which proposals become prompts: what is empty, known, too long or would break a template is dropped, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from engine.cd.prompts.asked import AskedPrompt, asked_prompt, cut
from engine.cd.search.settings import SearchSettings
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.cd.pairs.pair import Pair


class Screening:
    def __init__(self, settings: SearchSettings, opened: Callable[[], Pair]) -> None:
        self._settings, self._opened = settings, opened

    def pass_on(self, texts: Sequence[str], known: Collection[str], surplus: int) -> tuple[list[AskedPrompt], Counter[str]]:
        """The prompts that are new, `known` holding the ids of those that are not, and reason → how many were dropped. No more
        than `surplus` are passed on."""
        kept: dict[str, AskedPrompt] = {}
        dropped: Counter[str] = Counter()
        for text in texts:
            prompt = asked_prompt(self._cut(text.strip()))
            if reason := self._reason(prompt, known, kept):
                dropped[reason] += 1
            elif len(kept) == surplus:
                dropped["more than asked for"] += 1
            else:
                kept[prompt.id] = prompt
        return list(kept.values()), dropped

    def _reason(self, prompt: AskedPrompt, known: Collection[str], kept: Collection[str]) -> str | None:
        if not prompt.text:
            return "empty"
        if prompt.id in kept:
            return "proposed twice"
        if prompt.id in known:
            return "known"
        if any(token in prompt.text for token in self._opened().starting.model.tokenizer.all_special_tokens):
            return "control tokens"
        return None if self._fits(prompt) else "too long"

    def _cut(self, text: str) -> str:
        if self._settings.prompt_tokens is None:
            return text
        (short,) = cut([text], self._opened().starting.model.tokenizer, self._settings.prompt_tokens)
        return short.strip()

    def _fits(self, prompt: AskedPrompt) -> bool:
        from engine.cd.prompts.asked import encode
        from engine.forward import check_length

        pair = self._opened()
        shown = encode(pair, prompt, self._settings)
        try:
            for member, ids in ((pair.starting, shown.starting), (pair.comparison, shown.comparison)):
                check_length(member.model, len(ids) + self._settings.max_new_tokens, "")
        except InputError:
            return False
        return True
