"""Read positions under the structures that chat templates have (§1.5): what is trimmed, padded, added by default or refused."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from engine.chats import encode_chat, encode_choice, prefilled
from engine.data import Message
from engine.errors import InputError

SPECIAL = (
    "<s>",
    "</s>",
    "<|head|>",
    "<|/head|>",
    "<|eot|>",
    "<|im_start|>",
    "<|im_end|>",
    "[INST]",
    "[/INST]",
    "<turn>",
    "</turn>",
)


@dataclass(frozen=True)
class Shape:
    """`before`: rendered up to the answer to the question "ask "; `prompt`: the same as a generation prompt.

    `answer`: what becomes of the answer " (A " ; `system`: text of a chat with the system line "Be kind.", or None: refused.
    """

    template: str
    prompt: str
    before: str
    answer: str
    system: str | None


LLAMA2 = (
    "{% if messages[0].role == 'system' %}{% set head = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set head = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}{% if m.role == 'user' %}"
    "{{ '<s>[INST] ' + (head if loop.first else '') + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' </s>' }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{{ '<s>' }}{% if messages[0].role == 'system' %}{% set line = messages[0].content %}{% set turns = messages[1:] %}"
    "{% else %}{% set line = '' %}{% set turns = messages %}{% endif %}"
    "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ '<|head|>system<|/head|>\\n\\nToday: ' + date_string + '\\n\\n' + line + '<|eot|>' }}"
    "{% for m in turns %}{{ '<|head|>' + m.role + '<|/head|>\\n\\n' + m.content | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\\n\\n' }}{% endif %}"
)
CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MISTRAL = (
    "<s>{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content + '</s>' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
GEMMA = (
    "<s>{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<turn>' + role + '\\n' + m.content | trim + '</turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\\n' }}{% endif %}"
)
BASE = (  # the form that CAA shows base models, as docs/reference/steering-data.md gives it
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}Input: {{ m.content }}"
    "{% elif m.role == 'assistant' %}{{ '\\nResponse: ' + m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\nResponse:' }}{% endif %}"
)
_DATED = "<s><|head|>system<|/head|>\n\nToday: 26 Jul 2024\n\n"
SHAPES = {
    "Llama 2": Shape(
        LLAMA2,
        "<s>[INST] ask [/INST]",
        "<s>[INST] ask [/INST] ",
        "(A",
        "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nask [/INST]",
    ),
    "Llama 3": Shape(
        LLAMA3,
        f"{_DATED}<|eot|><|head|>user<|/head|>\n\nask<|eot|><|head|>assistant<|/head|>\n\n",
        f"{_DATED}<|eot|><|head|>user<|/head|>\n\nask<|eot|><|head|>assistant<|/head|>\n\n",
        "(A",
        f"{_DATED}Be kind.<|eot|><|head|>user<|/head|>\n\nask<|eot|><|head|>assistant<|/head|>\n\n",
    ),
    "ChatML": Shape(
        CHATML,
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nask <|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nask <|im_end|>\n<|im_start|>assistant\n",
        " (A ",
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nask <|im_end|>\n<|im_start|>assistant\n",
    ),
    "Mistral": Shape(MISTRAL, "<s>[INST] ask  [/INST]", "<s>[INST] ask  [/INST] ", " (A ", None),
    "Base": Shape(BASE, "<s>Input: ask \nResponse:", "<s>Input: ask \nResponse: ", " (A ", None),
    "Gemma": Shape(GEMMA, "<s><turn>user\nask</turn>\n<turn>model\n", "<s><turn>user\nask</turn>\n<turn>model\n", "(A", None),
}
LEFT_OUT = ("Base",)
"""Templates that pass over a system turn, which would then change nothing."""
ASK = (Message("user", "ask "),)
JOINED = (("(", "A"), ("(", "B"))
SPACED = (("Ġ", "("), ("Ġ", "Ġ"))
"""Merges: of bracket and letter, as Llama 3 has; of a space with what follows, as Llama 2 has."""


@cache
def tokenizer_of(name: str, merges: tuple[tuple[str, str], ...]) -> PreTrainedTokenizerFast:
    """Byte-level letters, a token for every marker, and one that adds a BOS of its own when called plainly."""
    vocabulary = {piece: i for i, piece in enumerate(SPECIAL)}
    for piece in (*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)):
        vocabulary.setdefault(piece, len(vocabulary))
    inner = Tokenizer(models.BPE(vocabulary, list(merges)))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    made.add_special_tokens({"additional_special_tokens": list(SPECIAL[2:])})
    made.chat_template = SHAPES[name].template
    return made


every_shape = pytest.mark.parametrize("name", SHAPES)
every_merge = pytest.mark.parametrize("merges", [(), JOINED, SPACED], ids=["apart", "joined", "spaced"])


@every_shape
@every_merge
def test_a_question_is_read_at_the_last_token_of_the_generation_prompt(name, merges):
    tokenizer = tokenizer_of(name, merges)
    encoded = encode_chat(tokenizer, ASK)
    assert tokenizer.decode(list(encoded.ids)) == encoded.text == SHAPES[name].prompt
    assert encoded.prompt_length == len(encoded.ids)
    assert encoded.ids.count(0) == SHAPES[name].prompt.count("<s>")


@every_shape
@every_merge
def test_an_answer_is_read_at_its_last_own_token_with_no_end_of_turn(name, merges):
    tokenizer, shape = tokenizer_of(name, merges), SHAPES[name]
    encoded = encode_chat(tokenizer, prefilled(ASK, " (A "))
    assert tokenizer.decode(list(encoded.ids)) == encoded.text == shape.before + shape.answer
    assert encoded.ids[: encoded.prompt_length] == encode_chat(tokenizer, ASK).ids  # what is steered as prompt is the prompt
    letter = encode_chat(tokenizer, prefilled(ASK, "(A"))
    assert tokenizer.convert_ids_to_tokens([letter.ids[-1]]) == ["(A" if merges == JOINED else "A"]


@every_shape
@every_merge
def test_letters_are_found_in_place(name, merges):
    tokenizer = tokenizer_of(name, merges)
    choice = encode_choice(tokenizer, ASK, "(", ("A", "B"))
    assert tokenizer.convert_ids_to_tokens(list(choice.candidates)) == (["(A", "(B"] if merges == JOINED else ["A", "B"])
    assert choice.ids == encode_chat(tokenizer, prefilled(ASK, "(A")).ids[:-1]
    with pytest.raises(InputError, match="'BB' behind '\\(' is not one token"):
        encode_choice(tokenizer, ASK, "(", ("AA", "BB"))


def test_letters_that_a_tokenizer_does_not_tell_apart_are_refused():
    vocabulary = {piece: i for i, piece in enumerate(("<unk>", *"ask(", "[INST]", "[/INST]", "<s>"))}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>")))
    tokenizer.chat_template = MISTRAL
    with pytest.raises(InputError, match="not one token of its own"):
        encode_choice(tokenizer, ASK, "(", ("A", "B"))


@every_shape
def test_a_system_turn_stands_where_the_template_has_it_or_is_refused(name):
    chat = (Message("system", "Be kind."), *ASK)
    if SHAPES[name].system is None:
        words = "leaves the system turn out" if name in LEFT_OUT else "refuses the turns system, user"
        with pytest.raises(InputError, match=words):
            encode_chat(tokenizer_of(name, ()), chat)
    else:
        assert encode_chat(tokenizer_of(name, ()), chat).text == SHAPES[name].system


def test_a_template_that_leaves_the_system_turn_out_is_refused():
    tokenizer = tokenizer_of("ChatML", ())
    silent = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    silent.chat_template = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    with pytest.raises(InputError, match="leaves the system turn out"):
        encode_chat(silent, (Message("system", "Be kind."), *ASK))


@pytest.mark.parametrize("rewriting", ["upper", "replace('yes', 'no')", "replace('s', 'ss')"])
def test_a_template_that_rewrites_answers_is_refused(rewriting):
    shouting = PreTrainedTokenizerFast(tokenizer_object=tokenizer_of("ChatML", ()).backend_tokenizer)
    shouting.chat_template = f"{{% for m in messages %}}{{{{ '<s>' + m.content | {rewriting} }}}}{{% endfor %}}"
    with pytest.raises(InputError, match="rewrites the answer 'yes'"):
        encode_chat(shouting, prefilled(ASK, "yes"))


@pytest.mark.parametrize("answer", ["end", "im_", "s", "assistant", "t", "ask", "\n", "{}", "Today"])
@every_shape
def test_an_answer_whose_text_stands_elsewhere_too_is_still_whole(name, answer):
    """ "end" also stands in "<|im_end|>", which the library's own way of leaving an answer open takes for the answer."""
    encoded = encode_chat(tokenizer_of(name, ()), prefilled(ASK, answer))
    assert encoded.text in (SHAPES[name].before + answer, SHAPES[name].before + answer.strip())


@given(
    name=st.sampled_from(list(SHAPES)),
    merges=st.sampled_from([(), JOINED, SPACED]),
    question=st.text(min_size=1),
    answer=st.text(),
)
def test_any_text_keeps_its_place(name, merges, question, answer):
    tokenizer = tokenizer_of(name, merges)
    chat = (Message("user", question),)
    prompt, encoded = encode_chat(tokenizer, chat), encode_chat(tokenizer, prefilled(chat, answer))
    assert encoded.text.startswith(prompt.text)
    assert encoded.text.strip().endswith(answer.strip())
    assert encoded.ids[: encoded.prompt_length] == prompt.ids
    assert encoded.offsets == () or encoded.offsets[-1][1] == len(encoded.text)


def test_a_chat_is_the_same_tokens_tomorrow():
    assert "26 Jul 2024" in encode_chat(tokenizer_of("Llama 3", ()), ASK).text


def test_the_reference_gives_the_template_for_base_models():
    reference = Path(__file__).parents[2] / "docs" / "reference" / "steering-data.md"
    assert BASE.replace("\n", "\\n") in reference.read_text()
