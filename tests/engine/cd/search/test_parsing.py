"""What an assistant proposed, and what it judged: §8.4, and the replies that broke the original (§7.3-6)."""

from __future__ import annotations

import pytest

from engine.assistants.json_object import find_object
from engine.cd.search.criterion import read_verdict
from engine.cd.search.parsing import hypotheses_of, lines_of, prompts_of


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('x {"prompt 2":"b","note":"n","Prompt 1":"a"} y', ["a", "b"]),  # §8.4
        ('{"prompt 1": "}"}', ["}"]),  # §8.4: a brace in a string ends nothing
        ('{"prompt 1": "a {b} c", "prompt 2": "\\"{\\""}', ["a {b} c", '"{"']),
        ('{"prompt": "first", "prompt 10": "c", "prompt 9": "b"}', ["b", "c", "first"]),  # no digits: no crash, and last
        ('Here: {} and then ```json\n{"Response 1": "a"}\n```', ["a"]),
        ('{"prompts": ["a", "b", 3, " "]}', ["a", "b"]),
        ('{"prompt 1": "broken\nline"}', ["broken\nline"]),
        ('{"additional texts": {"1": "a", "2": "b"}}', ["a", "b"]),
        ('{oops} {"prompt 1": "a"}', ["a"]),
        ('{"note": "no such key"}', []),
        ('{"prompt 1": "half \\ud800 a pair", "prompt 2": ["\\ud83d\\ude00"]}', ["half ? a pair", "😀"]),
        (f'{{"a": {"[" * 900}{"]" * 900}, "prompt": "b"}} {{"prompt": "c"}}', ["c"]),  # deeper than anybody means
    ],
)
def test_prompts_of_a_reply(reply, expected):
    found = find_object(reply)
    assert found is not None
    assert prompts_of(found) == expected


@pytest.mark.parametrize("reply", ["nothing here", '{"prompt 1": "cut o', "{}", "", "[1, 2]"])
def test_replies_without_an_object(reply):
    assert find_object(reply) is None


def test_hypotheses_are_told_apart_from_prompts():
    found = find_object('{"hypothesis 2": "y", "hypothesis 1": "x", "prompt 1": "a"}')
    assert found is not None
    assert (hypotheses_of(found), prompts_of(found)) == (["x", "y"], ["a"])


def test_lines_lose_their_numbers_bullets_and_quotes():
    reply = 'Here they are:\n\n1. "Tell me a joke."\n- What is it?\n2) 3 apples or 4?\n---\n'
    assert lines_of(reply) == ["Tell me a joke.", "What is it?", "3 apples or 4?"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Yes, it", "yes"),
        ("No.", "no"),
        ("The ans", "unread"),
        ("yes/no", "unread"),  # the original counted it as yes: it looked at five letters, which hold no "no"
        ("not", "unread"),  # the original read "no" inside of "not"; its score, 0, is the same
        ("Yes or no? Hard to say", "unread"),
        ("The answer is yes", "yes"),  # the original gave 0: only the first five letters were looked at
        ("Nobody knows", "unread"),
        ("**No**, although yes would be nice", "no"),
        ("", "unread"),
    ],
)
def test_verdicts(reply, expected):
    assert read_verdict(reply) == expected


def test_words_of_a_verdict_are_the_wordings():
    assert read_verdict("Ja, klar", ("ja",), ("nein",)) == "yes"
    assert read_verdict("Yes", ("ja",), ("nein",)) == "unread"
