"""What the divergence falls on: sums over places, of tokens and of words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cd.analysis.ngrams import score_ngrams, words

TEXT = [("a", 1.0), ("b", 2.0), ("a", 4.0)]
TEXTS = st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 10)), max_size=12), max_size=5)


def scores(texts, *lengths) -> dict[str, float]:
    return {"".join(gram.units): gram.score for gram in score_ngrams(texts, *lengths)}


def test_a_sequences_score_is_summed_over_its_places_once():
    assert scores([TEXT]) == {"a": 5.0, "b": 2.0}  # §8.6; published: a = 10
    assert scores([TEXT], 2) == {"ab": 3.0, "ba": 6.0}
    assert scores([TEXT], 1, 2) == {"a": 5.0, "b": 2.0, "ab": 3.0, "ba": 6.0}


def test_places_and_texts_are_counted_and_a_mean_is_one_places():
    first = score_ngrams([TEXT, TEXT, [("b", 1.0)]])[0]
    assert (first.units, first.count, first.texts, first.score, first.mean) == (("a",), 4, 2, 10.0, 2.5)


def test_the_order_is_by_score_and_then_by_the_words():
    assert [gram.units for gram in score_ngrams([[("b", 1.0), ("c", 2.0), ("a", 1.0)]])] == [("c",), ("a",), ("b",)]


def test_no_sequence_reaches_over_the_end_of_a_text():
    assert scores([[("a", 1.0)], [("b", 1.0)]], 2) == {}


@given(TEXTS)
def test_single_units_share_out_all_of_the_divergence(texts):
    found = score_ngrams(texts)
    assert sum(gram.score for gram in found) == pytest.approx(sum(value for text in texts for _, value in text))
    assert sum(gram.count for gram in found) == sum(map(len, texts))


@given(TEXTS, st.integers(1, 4))
def test_every_place_counts_its_own_units(texts, length):
    expected: dict[str, float] = {}
    for text in texts:
        for start in range(len(text) - length + 1):
            part = text[start : start + length]
            name = "".join(unit for unit, _ in part)
            expected[name] = expected.get(name, 0.0) + sum(value for _, value in part)
    assert scores(texts, length) == pytest.approx(expected)


def test_words_are_put_together_from_pieces():
    pieces = ['"Pea', "ches", " are", " ripe", ",", " P", "eaches", "!", "\n\n", "—", " end"]
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]
    # a sign belongs to the word it touches; space between words, and signs that stand alone, to none
    assert words(pieces, values) == [("peaches", 3.0), ("are", 4.0), ("ripe", 24.0), ("peaches", 224.0), ("end", 1024.0)]


def test_a_letter_split_over_tokens_counts_with_all_of_them():
    assert words([" caf", "", "é", " x"], [1.0, 2.0, 4.0, 8.0]) == [("café", 7.0), ("x", 8.0)]
    assert words(["", "é"], [1.0, 2.0]) == [("é", 3.0)]


def test_a_piece_with_the_end_of_a_word_and_the_start_of_the_next_counts_for_the_first():
    assert words(["ab c", "d"], [1.0, 2.0]) == [("ab", 1.0), ("cd", 2.0)]


@given(st.lists(st.tuples(st.text("ab .\n", max_size=4), st.floats(0, 5)), max_size=10))
def test_words_are_those_of_the_whole_text(parts):
    pieces, values = [piece for piece, _ in parts], [value for _, value in parts]
    expected = [word.strip(".") for word in "".join(pieces).split()]
    assert [word for word, _ in words(pieces, values)] == [word for word in expected if word]
