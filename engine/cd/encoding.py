"""Texts from elsewhere as tokens behind a prompt, as if a model had written them there.

Owns the seam between prompt and text. Where the prompt's tokens come from is `engine.cd.prompts`' business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cd.pair import Pair, PairPrompt
from engine.cd.prompts import AskedPrompt, encode
from engine.cd.settings import PairSettings
from engine.chats import encode_chat, prefilled
from engine.data import Message
from engine.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_text(pair: Pair, prompt: AskedPrompt, text: str, settings: PairSettings) -> tuple[PairPrompt, tuple[int, ...]]:
    """The prompt, and the text's tokens behind it. Without a prompt the text stands alone: its first token is then what the
    others are predicted from, unless the tokenizer begins every text with a token of its own."""
    tokenizer = pair.starting.model.tokenizer
    if not prompt.text:
        return _alone(tokenizer, text)
    asked = encode(pair, prompt, settings)
    if settings.form == "chat":
        whole = encode_chat(tokenizer, prefilled((Message("user", prompt.text),), text))
        return asked, whole.ids[whole.prompt_length :]
    return asked, _continued(tokenizer, prompt.text, text)


def _continued(tokenizer: PreTrainedTokenizerBase, prompt: str, text: str) -> tuple[int, ...]:
    """As tokens behind the prompt's own: a model continues those, so no token reaches over the seam."""
    alone = _ids(tokenizer, prompt)
    whole = _ids(tokenizer, prompt + text)
    return whole[len(alone) :] if whole[: len(alone)] == alone else _ids(tokenizer, text)


def _alone(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[PairPrompt, tuple[int, ...]]:
    begun = tuple(tokenizer(text)["input_ids"])  # pyright: ignore  one text gives one list
    plain = _ids(tokenizer, text)
    if not plain:
        raise InputError("A text to score is empty; leave it out.")
    if begun[0] == tokenizer.bos_token_id and len(begun) > len(plain):
        return PairPrompt(begun[:1], begun[:1], 1), plain
    return PairPrompt(plain[:1], plain[:1], 1), plain[1:]


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])  # pyright: ignore  one text gives one list
