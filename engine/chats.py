"""Chats as token ids: rendered and tokenised in one call, so that no special token is ever doubled.

Owns templates, offsets and the places found through them (where an answer begins, where a marker ends, which token a letter
is). It never tokenises a prefix on its own: a merge across the seam would shift positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data import Chat, Message
from engine.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
    """A chat that ends in a user turn gets the generation prompt; one that ends in an assistant turn is left open."""
    answer = chat[-1].content if chat[-1].role == "assistant" else ""
    if chat[-1].role == "assistant" and not answer:
        chat = chat[:-1]
    options: dict[str, Any] = {"continue_final_message": True} if answer else {"add_generation_prompt": True}
    text = _apply_template(tokenizer, chat, tokenize=False, **options)
    encoding = _apply_template(
        tokenizer, chat, tokenize=True, return_dict=True, tokenizer_kwargs={"return_offsets_mapping": True}, **options
    )
    ids = tuple(encoding["input_ids"])
    offsets = tuple((start, end) for start, end in encoding["offset_mapping"])
    if not answer:
        return Encoded(ids, len(ids), text, offsets)
    begin = _answer_start(tokenizer, text, answer)
    return Encoded(ids, next(i for i, (_, end) in enumerate(offsets) if end > begin), text, offsets)


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
    for option, other in zip(options, encoded, strict=True):
        if other.ids[:-1] != shared:
            raise InputError(
                f"The option {option!r} behind {lead_in!r} is not one token for this model's tokenizer, so its probability "
                "cannot be read at one place; use another lead-in or other letters."
            )
    return Choice(shared, min(encoded[0].prompt_length, len(shared)), tuple(other.ids[-1] for other in encoded))


def _apply_template(tokenizer: PreTrainedTokenizerBase, chat: Chat, **options: Any) -> Any:
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
        return tokenizer.apply_chat_template(messages, **options)
    except TemplateError as error:
        roles = ", ".join(message.role for message in chat)
        raise InputError(
            f"The chat template of {tokenizer.name_or_path} refuses the turns {roles} ({error}); use data without them."
        ) from error


def _answer_start(tokenizer: PreTrainedTokenizerBase, text: str, answer: str) -> int:
    """Where the prefilled answer begins in the rendered text; templates may trim it."""
    for form in (answer, answer.strip()):
        if form and text.endswith(form):
            return len(text) - len(form)
    raise InputError(
        f"The chat template of {tokenizer.name_or_path} rewrites the answer {answer!r}, so its place cannot be found; "
        "use another answer text."
    )
