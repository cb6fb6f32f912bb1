"""Token ids as pieces of text which, put together, are the text.

Owns what a tokenizer makes hard: letters that are split over several tokens, and spaces that decoding takes away at the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.cd.settings import Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.cd.pairs.pair import PairPrompt

_BROKEN = "\ufffd"  # what decoding writes for bytes that are no whole letter yet
_LONGEST_LETTER = 4  # tokens that one letter can be split over, one byte each


def text_pieces(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], before: Sequence[int] = ()) -> list[str]:
    """A piece for each id. before: what stands in front of them. A letter that is split over several tokens is the piece of
    the last of them; the others are empty."""
    lead = list(before)[-_LONGEST_LETTER:]
    whole = [*lead, *ids]
    start, told, pieces = 0, len(lead), []
    for end in range(len(lead) + 1, len(whole) + 1):
        known, text = _decoded(tokenizer, whole[start:told]), _decoded(tokenizer, whole[start:end])
        unfinished = text.endswith(_BROKEN) and end < len(whole) and end - told < _LONGEST_LETTER
        if unfinished or len(text) <= len(known):
            pieces.append("")
        else:
            pieces.append(text[len(known) :])
            start, told = told, end
    return pieces


def prompt_pieces(tokenizer: PreTrainedTokenizerBase, prompt: PairPrompt) -> list[str]:
    """Of the prompt's shared tokens but the first: those that have numbers."""
    begin = len(prompt.starting) - prompt.shared + 1
    return text_pieces(tokenizer, prompt.starting[begin:], prompt.starting[:begin])


def written_text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], pieces: Sequence[str], form: Form) -> str:
    """The text that a reader sees, without special tokens. An answer in a chat has no outer space; a text that goes on from a
    prompt keeps it, since it belongs between the two."""
    special = {*tokenizer.all_special_ids}
    text = "".join(piece for token, piece in zip(ids, pieces, strict=True) if token not in special)
    return text.strip() if form == "chat" else text


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
