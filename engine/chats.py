"""Chats as token ids, for any tokenizer with a chat template: read positions follow from what the template writes, never from
a model's name.

Owns templates, offsets and the places found through them (where an answer begins, where a marker ends, which token a letter
is). The template writes every special token, so the tokenizer adds none. A prefix is never tokenised on its own: a merge
across the seam would shift positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from engine.data import Chat, Message
from engine.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_ANSWER = "Tiller3f9a51"
"""Stands for an answer, to see what a template writes around one; nothing that a template would trim or interpret."""
_DAY = "26 Jul 2024"
"""Today, for templates that take it (Llama 3's write a date into every chat): results must not change overnight."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A chat as tokens. `prompt_length` L counts the tokens before a prefilled answer (all of them without one)."""

    ids: tuple[int, ...]
    prompt_length: int
    text: str
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Options that continue one text and differ in their last token only.

    `ids` is what they share, `prompt_length` tokens of it the prompt; `candidates` are the last tokens, in order.
    """

    ids: tuple[int, ...]
    prompt_length: int
    candidates: tuple[int, ...]


def encode_chat(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> Encoded:
    """A chat that ends in a user turn gets the generation prompt; one that ends in an assistant turn is left open.

    The last token is the one that vectors are read at: the end of the generation prompt, or the last of the answer's own.
    """
    if chat[-1].role == "assistant" and not chat[-1].content:
        chat = chat[:-1]
    if chat[-1].role == "assistant":
        text, begin = _open_answer(tokenizer, chat)
    else:
        text = _rendered(tokenizer, chat, add_generation_prompt=True)
        begin = len(text)
    if chat[0].role == "system" and chat[0].content.strip() not in text:
        raise InputError(
            f"The chat template of {tokenizer.name_or_path} leaves the system turn out, so it would change nothing; "
            "use data and options without one."
        )
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)  # the template wrote them already
    offsets = tuple((start, end) for start, end in encoding["offset_mapping"])
    length = next((i for i, (_, end) in enumerate(offsets) if end > begin), len(offsets))
    return Encoded(tuple(encoding["input_ids"]), length, text, offsets)


def open_user_turn(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A user's turn that goes on after `text`, for a model that is to write users' turns: the tokens before the turn's content,
    and those of `text` (which may be empty)."""
    said = text or _ANSWER
    encoded = encode_chat(tokenizer, (Message("user", said),))
    begin = encoded.text.rfind(said)
    if begin < 0:
        raise InputError(
            f"The chat template of {tokenizer.name_or_path} rewrites the user's text {said!r}, so its place cannot be found; "
            "use another text."
        )
    ends = [end for _, end in encoded.offsets]
    first = sum(end <= begin for end in ends)
    last = sum(end <= begin + len(text) for end in ends)
    return encoded.ids[:first], encoded.ids[first:last]


def prefilled(chat: Chat, answer: str) -> Chat:
    """`chat` with the beginning of an answer, which the model is to continue."""
    return (*chat, Message("assistant", answer))


def marker_position(encoded: Encoded, marker: str) -> int:
    """Index of the token that ends the last occurrence of `marker` in the prompt (CAA: the end of the instruction)."""
    prompt_end = encoded.offsets[encoded.prompt_length - 1][1]
    begin = encoded.text.rfind(marker, 0, prompt_end)
    if begin < 0:
        raise InputError(
            f"The marker {marker!r} does not occur in the prompt {encoded.text!r}; give --marker a text that does."
        )
    end = begin + len(marker)
    return next(i for i, (_, token_end) in enumerate(encoded.offsets) if token_end >= end)


def encode_choice(tokenizer: PreTrainedTokenizerBase, chat: Chat, lead_in: str, options: Sequence[str]) -> Choice:
    """Encode every option in place behind `lead_in`, and check that they differ in one last token each.

    Tokenizers may join the lead-in and a letter ("(A" is one token of Llama 3), so nothing is encoded apart.
    """
    encoded = [encode_chat(tokenizer, prefilled(chat, lead_in + option)) for option in options]
    shared = encoded[0].ids[:-1]
    candidates = tuple(other.ids[-1] for other in encoded)
    for option, other in zip(options, encoded, strict=True):
        if other.ids[:-1] != shared or candidates.count(other.ids[-1]) > 1:
            raise InputError(
                f"The option {option!r} behind {lead_in!r} is not one token of its own for this model's tokenizer, so its "
                "probability cannot be read at one place; use another lead-in or other letters."
            )
    return Choice(shared, min(encoded[0].prompt_length, len(shared)), candidates)


def _open_answer(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> tuple[str, int]:
    """The chat up to the last character of its answer, and where the answer begins.

    What the template writes around an answer is seen with another one in its place, so an answer is found wherever else its
    text occurs ("end" in "<|im_end|>"), trimmed or not. A space that the template puts before it counts as the answer's where
    the generation prompt has none.
    """
    answer = chat[-1].content
    shown = _rendered(tokenizer, chat)
    before, _, after = _rendered(tokenizer, prefilled(chat[:-1], _ANSWER)).partition(_ANSWER)
    middle = shown[len(before) : len(shown) - len(after)]
    forms = (answer, answer.strip(), answer.lstrip(), answer.rstrip())
    if not (shown.startswith(before) and shown.endswith(after) and middle in forms):
        raise InputError(
            f"The chat template of {tokenizer.name_or_path} rewrites the answer {answer!r}, so its place cannot be found; "
            "use another answer text."
        )
    prompt = _rendered(tokenizer, chat[:-1], add_generation_prompt=True)
    return before + middle, len(prompt) if before.startswith(prompt) else len(before)


def _rendered(tokenizer: PreTrainedTokenizerBase, chat: Chat, add_generation_prompt: bool = False) -> str:
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise InputError(
            f"The tokenizer of {tokenizer.name_or_path} has no chat template, so chats cannot be shown to it; "
            "use an instruction-tuned model, or put a chat_template.jinja beside its tokenizer."
        )
    if not tokenizer.is_fast:
        raise InputError(f"The tokenizer of {tokenizer.name_or_path} gives no character offsets; a fast tokenizer is needed.")
    messages = [{"role": message.role, "content": message.content} for message in chat]
    try:
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt, date_string=_DAY
        )
    except TemplateError as error:
        roles = ", ".join(message.role for message in chat)
        raise InputError(
            f"The chat template of {tokenizer.name_or_path} refuses the turns {roles} ({error}); use data without them."
        ) from error
    return cast(str, text)  # which it is when not tokenised
