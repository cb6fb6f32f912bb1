"""Chats as tokens: one call, no doubled specials, places found through offsets."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from engine.chats import encode_chat, encode_choice, marker_position, open_user_turn, prefilled
from engine.data import Message
from engine.errors import EngineError

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "[{{ m.role }}]{{ m.content | trim }}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
CHAT = (Message("user", "ab cd"),)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, with merges across the seam of "(" and "A", and a post-processor that adds a BOS by itself."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0, "[user]": 1, "[assistant]": 2, "[end]": 3}
    for piece in (*alphabet, "(A", "(B", "ab"):
        vocabulary.setdefault(piece, len(vocabulary))
    inner = Tokenizer(models.BPE(vocabulary, [("(", "A"), ("(", "B"), ("a", "b")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="[end]")
    made.add_special_tokens({"additional_special_tokens": ["[user]", "[assistant]"]})
    made.chat_template = TEMPLATE
    return made


def pieces(tokenizer, ids) -> list[str]:
    return tokenizer.convert_ids_to_tokens(list(ids))


def test_a_question_gets_the_generation_prompt_and_one_bos(tokenizer):
    encoded = encode_chat(tokenizer, CHAT)
    assert pieces(tokenizer, encoded.ids) == ["<s>", "[user]", "ab", "Ġ", "c", "d", "[end]", "[assistant]"]
    assert encoded.prompt_length == len(encoded.ids)
    assert tokenizer("x").input_ids[0] == 0  # called plainly, this tokenizer would add a second one


def test_a_prefilled_answer_stays_open_and_begins_where_the_offsets_say(tokenizer):
    encoded = encode_chat(tokenizer, prefilled(CHAT, "ab cd"))  # the same text as the question's
    assert pieces(tokenizer, encoded.ids[encoded.prompt_length :]) == ["ab", "Ġ", "c", "d"]
    assert encoded.ids[: encoded.prompt_length] == encode_chat(tokenizer, CHAT).ids


def test_an_answer_that_the_template_trims_is_found(tokenizer):
    encoded = encode_chat(tokenizer, prefilled(CHAT, " cd "))
    assert pieces(tokenizer, encoded.ids[encoded.prompt_length :]) == ["c", "d"]


def test_an_empty_answer_is_no_answer(tokenizer):
    assert encode_chat(tokenizer, prefilled(CHAT, "")) == encode_chat(tokenizer, CHAT)


def test_letters_are_encoded_in_place_even_when_they_join_the_bracket(tokenizer):
    choice = encode_choice(tokenizer, CHAT, "(", ("A", "B"))
    assert pieces(tokenizer, choice.candidates) == ["(A", "(B"]
    assert choice.prompt_length == len(choice.ids) == len(encode_chat(tokenizer, CHAT).ids)


def test_letters_of_their_own_keep_the_lead_in(tokenizer):
    choice = encode_choice(tokenizer, CHAT, "c,", ("A", "B"))
    assert pieces(tokenizer, choice.candidates) == ["A", "B"]
    assert pieces(tokenizer, choice.ids[choice.prompt_length :]) == ["c", ","]


def test_a_letter_of_two_tokens_is_refused(tokenizer):
    with pytest.raises(EngineError, match="is not one token of its own"):
        encode_choice(tokenizer, CHAT, "(", ("AA", "BB"))


def test_a_marker_is_the_token_that_ends_its_last_occurrence(tokenizer):
    encoded = encode_chat(tokenizer, (*CHAT, Message("assistant", "d"), Message("user", "ab cd")))
    place = marker_position(encoded, "ab c")
    assert pieces(tokenizer, encoded.ids)[place] == "c"
    assert place > len(encode_chat(tokenizer, CHAT).ids)
    with pytest.raises(EngineError, match="'zz' does not occur"):
        marker_position(encoded, "zz")


def test_a_template_that_refuses_a_role_is_one_sentence(tokenizer):
    with pytest.raises(EngineError, match="refuses the turns system, user"):
        encode_chat(tokenizer, (Message("system", "s"), *CHAT))


def test_a_tokenizer_without_a_template_is_one_sentence(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(EngineError, match="has no chat template"):
        encode_chat(tokenizer, CHAT)


def test_an_open_user_turn_ends_behind_its_text(tokenizer):
    before, content = open_user_turn(tokenizer, "ab")
    assert (pieces(tokenizer, before), pieces(tokenizer, content)) == (["<s>", "[user]"], ["ab"])
    assert open_user_turn(tokenizer, "") == (before, ())


def test_a_user_turn_that_the_template_trims_is_refused(tokenizer):
    with pytest.raises(EngineError, match="rewrites the user's text 'ab '"):
        open_user_turn(tokenizer, "ab ")
