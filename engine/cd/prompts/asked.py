"""What two models are asked, and how each is shown it.

Owns a prompt's name (a hash of its text, so it never depends on place or order), where prompts come from, and the tokens of
both members: which are private to one, and which both see. It knows neither files' formats nor how texts are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.cd.prompts.files import is_text, read_file
from engine.cd.settings import PairSettings, PromptSettings
from engine.data import Message
from engine.errors import InputError
from engine.printable import printable
from engine.progress import notice
from engine.store import text_hash

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.cd.pairs.pair import Pair, PairPrompt
    from engine.chats import Encoded

BEGIN = ("<|begin_of_text|>", "<begin_of_text>")
"""Written before texts by the published tools; the tokenizer or the template puts the token there itself."""
_STAND_IN = "Tiller5c0e72"
"""Stands for a private prefix, to see what a template writes behind one."""


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """id: "p" and 12 hex digits of the text's sha256. An empty text asks what a model says unasked (`form` text only)."""

    id: str
    text: str


def asked_prompt(text: str) -> AskedPrompt:
    return AskedPrompt(f"p{text_hash(text)[:12]}", text)


def read_prompts(settings: PromptSettings, tokenizer: PreTrainedTokenizerBase | None = None) -> tuple[AskedPrompt, ...]:
    """The prompts that the settings name, each text once, in order: those of the command line, then the file's.

    tokenizer: needed where `prompt_tokens` cuts them.
    """
    texts = list(settings.prompt)
    if not all(map(is_text, texts)):
        raise InputError("A --prompt is not UTF-8 text; set the terminal to UTF-8, or give the prompts in a file.")
    if settings.prompts == "demo":
        texts += demo_texts()
    elif settings.prompts is not None:
        texts += [found.text for found in read_file(settings.prompts, settings.column, settings.keys)]
    elif not texts:
        raise InputError("Nothing is asked; give --prompt a text, or --prompts a file ('demo' for the demo models' prompts).")
    if (settings.column is not None or settings.keys) and settings.prompts in (None, "demo"):
        raise InputError(
            "--column and --keys say where the prompts stand in a file; give --prompts that file, or leave them out."
        )
    texts = [_without_begin(text) for text in texts]
    if settings.prompt_tokens is not None:
        if tokenizer is None:
            raise ValueError("prompts are cut by a tokenizer, but none was given")
        texts = cut(texts, tokenizer, settings.prompt_tokens)
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < len(texts):
        notice(f"{len(texts) - len(distinct)} of {len(texts)} prompts are there already and are left out")
    return tuple(asked_prompt(text) for text in distinct[: settings.limit])


def demo_texts() -> list[str]:
    """Questions about things that neither demo model has met, of every kind in turn, so that the first few are of all kinds."""
    from engine.demo.vocabulary import KINDS, nouns

    columns = [[(kind, noun) for split in ("test", "validation") for noun in nouns(split, kind)] for kind in KINDS]
    return [f"Tell me about {noun}, a kind of {kind}." for row in zip(*columns, strict=True) for kind, noun in row]


def cut(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, tokens: int) -> list[str]:
    """The first `tokens` tokens of every text. Some beginnings are other tokens when they stand alone; then that is said."""
    if not tokenizer.is_fast:
        raise InputError(
            f"The tokenizer of {tokenizer.name_or_path} gives no character offsets, so --prompt-tokens cannot cut by it; "
            "leave that out, or use a fast tokenizer."
        )
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    kept = [
        text if len(ids) <= tokens else text[: offsets[tokens - 1][1]]
        for text, ids, offsets in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    again = tokenizer(kept, add_special_tokens=False)["input_ids"]
    others = [text for text, ids, new in zip(kept, encoded["input_ids"], again, strict=True) if new != ids[:tokens]]
    if others:
        notice(
            f"{len(others)} of {len(texts)} prompts, cut to {tokens} tokens, are other tokens when they stand alone, such as "
            f"{printable(others[0])!r}"
        )
    return kept


def encode(pair: Pair, prompt: AskedPrompt, settings: PairSettings) -> PairPrompt:
    """The prompt for either member; shared tokens exclude all that a private prefix brings with it.

    In chats a prefix is a system turn; in texts its tokens stand between the begin token, if the tokenizer writes one, and the
    prompt's, as published (§1.3). Raises InputError for tokens that one of the models does not have.
    """
    from engine.cd.pairs.pair import PairPrompt

    encoded = (_chat if settings.form == "chat" else _text)(pair, prompt.text, settings)
    if settings.comparison_context == "last_token":
        encoded = PairPrompt(encoded.starting, encoded.starting[-1:], 1)
    unknown = next((token for ids in (encoded.starting, encoded.comparison) for token in ids if token >= pair.vocabulary), None)
    if unknown is not None:
        string = speaker(pair).convert_ids_to_tokens(unknown)
        raise InputError(
            f"The prompt {printable(prompt.text[:60])!r} holds the token {string!r}, which one of the models does not have; "
            + ("give --form text, which uses no chat template." if settings.form == "chat" else "leave it out.")
        )
    return encoded


def _chat(pair: Pair, text: str, settings: PairSettings) -> PairPrompt:
    from engine.cd.pairs.pair import PairPrompt
    from engine.chats import encode_chat

    if not text:  # a text without a prompt stands alone when it is scored, so its numbers would be others
        raise InputError("An empty prompt is no user's turn; give --form text, in which models begin by themselves, or a text.")
    tokenizer, user = speaker(pair), Message("user", text)
    if not tokenizer.chat_template:
        raise InputError(
            f"Neither {pair.starting.model.name} nor {pair.comparison.model.name} has a chat template; give --form text, or a "
            "model that has one."
        )
    private = [settings.starting_prefix, settings.comparison_prefix]
    if private == [None, None]:
        ids = encode_chat(tokenizer, (user,)).ids
        return PairPrompt(ids, ids, len(ids))
    chats = [(user,) if prefix is None else (Message("system", prefix), user) for prefix in private]
    starting, comparison = (encode_chat(tokenizer, chat) for chat in chats)
    behind = len(encode_chat(tokenizer, (Message("system", _STAND_IN), user)).text.partition(_STAND_IN)[2])
    limits = (
        len(one.ids) if prefix is None else _tokens_behind(one, behind)
        for one, prefix in zip((starting, comparison), private, strict=True)
    )
    return PairPrompt(starting.ids, comparison.ids, min(*limits, _common_end(starting.ids, comparison.ids)))


def _tokens_behind(encoded: Encoded, characters: int) -> int:
    """How many tokens lie wholly within the last so many characters of the rendered chat."""
    begin = len(encoded.text) - characters
    return sum(start >= begin for start, _ in encoded.offsets)


def _common_end(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(reversed(one), reversed(other), strict=False))
    return next((count for count, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))


def _text(pair: Pair, text: str, settings: PairSettings) -> PairPrompt:
    return text_prompt(pair, _ids(pair.starting.model.tokenizer, text), settings)


def text_prompt(pair: Pair, shown: tuple[int, ...], settings: PairSettings) -> PairPrompt:
    """A prompt of `form` text from the tokens that both members see."""
    from engine.cd.pairs.pair import PairPrompt

    tokenizer = pair.starting.model.tokenizer
    lead = begin_ids(tokenizer)
    private = [_ids(tokenizer, prefix or "") for prefix in (settings.starting_prefix, settings.comparison_prefix)]
    shared = len(shown) if any(private) else len(lead) + len(shown)
    if not shared:
        raise InputError(
            "An empty prompt is only a begin token, which "
            + (
                "private prefixes leave nothing behind; leave them out"
                if lead
                else "this tokenizer does not write; give a text"
            )
            + "."
        )
    return PairPrompt(lead + private[0] + shown, lead + private[1] + shown, shared)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def begin_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What the tokenizer writes before any text."""
    whole, bare = tuple(tokenizer("a")["input_ids"]), _ids(tokenizer, "a")
    begin = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
    return whole[:begin]


def speaker(pair: Pair) -> PreTrainedTokenizerBase:
    """The tokenizer that chats are written with: a base model's may lack a template, but its tokens are the same."""
    members = (pair.starting.model.tokenizer, pair.comparison.model.tokenizer)
    return next((tokenizer for tokenizer in members if tokenizer.chat_template), members[0])


def _without_begin(text: str) -> str:
    """Without the begin marker that published files put before texts, and the `|` that they put behind it."""
    for marker in BEGIN:
        if text.startswith(marker):
            return text.removeprefix(marker).removeprefix("|")
    return text
