"""A search without an assistant: the models themselves write and change prompts."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from prompting_assistant import SEEDS, SMALL

from engine.cd.pairs.opening import open_pair, pair_source
from engine.cd.search.offline import OfflineProposer
from engine.cd.search.records import Entry, read_attempts
from engine.cd.search.settings import SearchSettings
from engine.demo.vocabulary import KINDS

FOOD = {"food", *KINDS["food"].replace("|", " ").split()}


@pytest.fixture(scope="module")
def pair():
    settings = SearchSettings()
    return open_pair(pair_source(settings), settings)


def entries(*prompts: str) -> list[Entry]:
    return [Entry(f"p{number}", prompt, 1.0, "", None, 0, 0) for number, prompt in enumerate(prompts)]


def proposed(pair, shown, repeat=0, attempt=1, **options) -> tuple[str, ...]:
    settings = SearchSettings(**{"proposals": 12, **options}).resolved()
    return OfflineProposer(settings, lambda: pair).propose(shown, repeat, attempt).prompts


def test_proposals_come_of_seed_repeat_and_attempt_alone(pair):
    shown = entries(*SEEDS)
    first = proposed(pair, shown)
    assert len(first) == 12
    assert proposed(pair, shown, batch_size=1) == first
    for other in ({"seed": 1}, {"repeat": 1}, {"attempt": 2}):
        assert proposed(pair, shown, **other) != first


def test_fewer_proposals_are_the_first_of_more(pair):
    shown = entries(*SEEDS)
    assert proposed(pair, shown, proposals=5) == proposed(pair, shown)[:5]


def test_models_write_users_turns_where_nothing_is_shown(pair):
    """The demo models know six kinds of users' turns; their own begin like those."""
    begins = ("Tell me", "What do you", "What can you", "I think", "I want", "How ", "Text:", "Question:", "Repeat:")
    prompts = proposed(pair, [], proposals=40)
    assert sum(prompt.startswith(begins) for prompt in prompts) >= 36
    assert len(set(prompts)) >= 38
    assert not any("<|" in prompt for prompt in prompts)


def test_changed_prompts_keep_words_of_those_shown(pair):
    shown = ("Tell me about barges, a kind of vehicle.", "Repeat: hens moles")
    known = {word for prompt in shown for word in prompt.split(" ")}
    prompts = proposed(pair, entries(*shown), proposals=40, fresh=0.0)
    kept = [sum(word in known for word in prompt.split(" ")) / len(prompt.split(" ")) for prompt in prompts]
    assert sum(share > 0 for share in kept) >= 34
    assert sum(0 < share < 1 for share in kept) >= 15
    assert len(set(prompts)) >= 30


def test_texts_are_continued_as_texts(pair):
    prompts = proposed(pair, entries("they sell noodles this year"), form="text", fresh=0.0, proposals=30)
    assert len(set(prompts)) >= 20
    assert sum(prompt.startswith("they sell") for prompt in prompts) >= 5


def test_a_search_from_nothing(search, bank):
    out, _ = search(*SMALL, "--cycles", "2", "--proposals", "8", "--seed", "3")
    found = bank()
    assert {entry["cycle"] for entry in found} == {1, 2}
    assert out.endswith("bank.tsv")


@pytest.mark.parametrize(("direction", "part"), [("high", "max"), ("low", "min")])
def test_the_prompts_that_go_on_are_those_looked_for(search, workspace, direction, part):
    size = ("--samples", "1", "--cycles", "3", "--proposals", "10", "--shown", "4", "--diversity-weight", "0")
    search("--prompts", "demo", "--limit", "15", *size, "--direction", direction)
    (path,) = (workspace / "artifacts/searches").glob("*/cycles.tsv")
    with path.open(newline="") as file:
        *_, last = csv.DictReader(file, delimiter="\t")
    middle, shown, extreme = (float(last[f"divergence_{name}"]) for name in ("full_mean", "subsample_mean", f"full_{part}"))
    assert abs(shown - extreme) < abs(middle - extreme) / 2
    attempts = read_attempts(path.parent).values()
    known = {entry.prompt_id: entry.divergence for attempt in attempts for entry in attempt.entries}
    for attempt in attempts:
        values = [known[name] for name in attempt.next_shown]
        assert values == sorted(values, reverse=True)


def precision(bank: list[dict], top: int = 10) -> float:
    return sum(bool(FOOD & {*re.findall(r"[a-z]+", entry["prompt"].lower())}) for entry in bank[:top]) / top


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_the_plants_topic_is_ranked_first(search, bank, seed):
    """The search is told nothing of it: the prompts given ask about things of all five kinds, equally often."""
    search("--prompts", "demo", "--seed", seed)
    assert precision(bank()) >= 0.8


@pytest.mark.slow
def test_the_plants_topic_is_found_where_no_prompt_given_is_about_it(search, bank, workspace: Path):
    from engine.cd.prompts.asked import demo_texts

    others = [text for text in demo_texts() if not FOOD & {*re.findall(r"[a-z]+", text.lower())}]
    (workspace / "others.txt").write_text("\n".join(others))
    search("--prompts", "others.txt", "--seed", "0")
    assert precision(bank()) >= 0.8
