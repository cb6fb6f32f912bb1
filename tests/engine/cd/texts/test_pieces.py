"""Tokens as pieces of text: put together they are the text, whatever the tokenizer does to letters and spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cd.texts.pieces import text_pieces, written_text
from engine.demo.weights import weights_path


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(weights_path("tuned"))


@given(st.text(max_size=30))
def test_pieces_are_the_text(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = text_pieces(tokenizer, ids, [1])
    assert len(pieces) == len(ids)
    assert "".join(pieces).removeprefix(" ") == tokenizer.decode(ids).removeprefix(" ")


def test_a_letter_of_several_tokens_is_the_piece_of_the_last(tokenizer):
    ids = tokenizer("é日", add_special_tokens=False)["input_ids"]
    pieces = text_pieces(tokenizer, ids)
    assert [piece for piece in pieces if piece.strip()] == ["é", "日"]
    assert pieces[-1] == "日"
    assert "\ufffd" not in "".join(pieces)


def test_a_letter_that_is_never_finished_is_shown_as_broken(tokenizer):
    ids = tokenizer("日", add_special_tokens=False)["input_ids"][:-1]
    assert text_pieces(tokenizer, ids)[-1] == "\ufffd"


def test_chats_lose_outer_space_and_special_tokens_and_texts_keep_their_space(tokenizer):
    ids = [*tokenizer(" plums", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    pieces = text_pieces(tokenizer, ids, [1])
    assert written_text(tokenizer, ids, pieces, "chat") == "plums"
    assert written_text(tokenizer, ids, pieces, "text") == " plums"
