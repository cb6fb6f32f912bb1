"""Texts from elsewhere as tokens behind a prompt, as if a model had written them there.

Owns the seam between prompt and text. Where the prompt's tokens come from is `engine.cd.prompts.asked`' business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cd.pairs.pair import Pair, PairPrompt
from engine.cd.prompts.asked import AskedPrompt, begin_ids, encode, speaker, text_prompt
from engine.cd.settings import PairSettings
from engine.chats import encode_chat, prefilled
from engine.data import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_text(pair: Pair, prompt: AskedPrompt, text: str, settings: PairSettings) -> tuple[PairPrompt, tuple[int, ...]]:
    """The prompt, and the text's tokens behind it. Without a prompt the text stands alone: its first token is then what the
    others are predicted from, unless the tokenizer begins every text with a token of its own."""
    if not prompt.text:
        return _alone(pair, text, settings)
    asked = encode(pair, prompt, settings)
    if settings.form == "chat":
        whole = encode_chat(speaker(pair), prefilled((Message("user", prompt.text),), text))
        return asked, whole.ids[whole.prompt_length :]
    return asked, _continued(pair.starting.model.tokenizer, prompt.text, text)


def _continued(tokenizer: PreTrainedTokenizerBase, prompt: str, text: str) -> tuple[int, ...]:
    """As tokens behind the prompt's own: a model continues those, so no token reaches over the seam."""
    alone = _ids(tokenizer, prompt)
    whole = _ids(tokenizer, prompt + text)
    return whole[len(alone) :] if whole[: len(alone)] == alone else _ids(tokenizer, text)


def _alone(pair: Pair, text: str, settings: PairSettings) -> tuple[PairPrompt, tuple[int, ...]]:
    tokenizer = pair.starting.model.tokenizer
    plain = _ids(tokenizer, text)
    private = settings.starting_prefix or settings.comparison_prefix
    if not private and begin_ids(tokenizer):
        return text_prompt(pair, (), settings), plain
    return text_prompt(pair, plain[:1], settings), plain[1:]


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])  # pyright: ignore  one text gives one list
