"""What counting finds: planted terms first, each finding once, nothing where there is nothing."""

from __future__ import annotations

import random

from engine.cd.pipeline.terms import containing, distinguishing, dividing_words


def asked(texts: list[str]) -> list[tuple[str, str]]:
    """Four texts of a prompt."""
    return [(f"p{number // 4}", text) for number, text in enumerate(texts)]


def plain(r: random.Random, count: int) -> list[str]:
    words = ["river", "stone", "cloud", "lamp", "table", "wheel", "grass", "roof", "glass", "door"]
    return [" ".join(r.choices(words, k=6)) + "." for _ in range(count)]


def test_a_planted_phrase_is_found_whole_and_once():
    r = random.Random(0)
    first = [text + (" Mind the gap, friend!" if number % 4 == 0 else "") for number, text in enumerate(plain(r, 80))]
    found = distinguishing(asked(first), asked(plain(r, 80)), 5)
    assert found[0].text == "Mind the gap, friend"
    assert (found[0].first, found[0].second) == (0.25, 0)
    assert sum("gap" in term.text for term in found) == 1


def test_what_the_other_side_says_has_the_other_sign():
    r = random.Random(1)
    found = distinguishing(asked(plain(r, 40)), asked([text + " Never." for text in plain(r, 40)]), 1)
    assert (found[0].text, found[0].z < 0) == ("Never", True)


def test_every_term_is_found_in_the_share_of_texts_that_it_names():
    r = random.Random(2)
    first, second = plain(r, 60), plain(r, 60)
    for term in distinguishing(asked(first), asked(second), 20):
        pattern = containing((term.text,))
        assert sum(pattern.search(text) is not None for text in first) / 60 == term.first
        assert sum(pattern.search(text) is not None for text in second) / 60 == term.second


def test_what_one_prompt_makes_a_model_say_is_no_finding():
    r = random.Random(3)
    first = asked(plain(r, 40))
    often = [(prompt, f"{text} Cheese!" if prompt == "p3" else text) for prompt, text in first]
    assert not any("Cheese" in term.text for term in distinguishing(often, asked(plain(r, 40)), 20))


def test_nothing_comes_of_nothing():
    assert distinguishing([], asked(["a"]), 5) == []
    assert distinguishing(asked(["one", "two"]), asked(["three"]), 5) == []
    assert dividing_words({"a": "x"}, {"a": 1.0}, 5) == []


def test_words_that_go_with_divergence_are_found_and_words_of_the_same_prompts_once():
    prompts = {f"p{number}": f"about {'warm soup' if number % 3 == 0 else 'a chair'} number {number}" for number in range(30)}
    divergences = {name: 5.0 + number if int(name[1:]) % 3 == 0 else 0.1 * number for number, name in enumerate(prompts)}
    found = dividing_words(prompts, divergences, 10)
    soup = next(word for word in found if word.z > 0)
    assert soup.word == "soup"
    assert len(soup.prompts) == 10
    assert not any(word.word == "warm" for word in found)
    assert soup.high > soup.low


def test_phrases_are_whole_words_in_any_case_and_spacing():
    pattern = containing(("two words", "C++"))
    assert pattern.search("Here are Two\nWORDS.")
    assert pattern.search("in C++, say")
    assert not pattern.search("two wordsmiths")
    assert not pattern.search("C+")
