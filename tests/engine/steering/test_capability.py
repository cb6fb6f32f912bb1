"""The capability check: passages, their perplexity at every cell, and whose text it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.chats import encode_chat, prefilled
from engine.demo.data import contrast_pairs
from engine.errors import InputError
from engine.families import Site
from engine.forward import Steering
from engine.models import load
from engine.steering.capability import Passage, load_passages, measure, queries_of
from engine.steering.cli import main
from engine.steering.experiment import cells_of, open_experiment
from engine.steering.settings import ApplySettings
from engine.store import read_measurements
from engine.workspace import Workspace


@pytest.fixture(scope="module")
def demo():
    return load("demo")


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(folder))
    return folder


def test_ours_are_forty_short_passages():
    passages = load_passages(None, demo=False)
    assert len(passages) == 40
    assert all(100 < len(passage.text) < 400 and not passage.chat for passage in passages)
    assert len({passage.id for passage in passages}) == 40


def test_demo_passages_are_answers_of_the_held_out_split():
    passages = load_passages(None, demo=True)
    assert len(passages) >= 50
    asked = {pair.positive for behavior in ("agree", "polite") for pair in contrast_pairs(behavior)}
    assert all(passage.chat and passage.chat not in asked for passage in passages)


def test_a_users_text_is_cut_at_empty_lines_and_long_paragraphs_between_words(tmp_path):
    path = tmp_path / "text.txt"
    long = " ".join(f"word{i}" for i in range(400))
    path.write_text(f"\ufeffOne two three.\r\n\r\n\r\nalone\n\nFour\nfive six.\n\n{long}\n\nOne two three.", encoding="utf-8")
    texts = [passage.text for passage in load_passages(str(path), demo=True)]
    assert texts[:2] == ["One two three.", "Four five six."]
    assert " ".join(texts[2:]) == long
    assert all(len(text) <= 801 for text in texts)


@given(st.text(max_size=3000))
def test_no_word_of_a_text_is_lost_or_doubled(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(("two words\n\n" + text).encode("utf-8", "ignore"))
    said = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    found = load_passages(str(path), demo=False)
    assert {word for passage in found for word in passage.text.split()} <= set(said.split())
    assert all(len(passage.text.split()) > 1 for passage in found)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"", "no passage"), (b"word", "no passage"), (b"\xff\xfe\x00a b", "not UTF-8")],
)
def test_a_text_that_cannot_be_used_is_one_sentence(tmp_path, content, words):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_passages(str(path), demo=False)


def by_hand(demo, passage: Passage, site: Site | None = None, push: torch.Tensor | None = None, first: int = 0) -> float:
    """−Σ log p of the scored tokens, in one pass without cache, with `push` added from position `first` on."""
    if passage.chat:
        encoded = encode_chat(demo.tokenizer, prefilled(passage.chat, passage.text))
        ids, start = encoded.ids, encoded.prompt_length
    else:
        ids = demo.tokenizer(passage.text)["input_ids"]
        start = len(ids) // 2

    def add(_module, _inputs, output):
        output = output.clone()
        output[:, first if first >= 0 else start + first :] += push
        return output

    handle = demo.module(site).register_forward_hook(add) if site else None
    try:
        with torch.inference_mode():
            logprobs = demo.model(torch.tensor([list(ids)])).logits[0].log_softmax(-1)
    finally:
        if handle:
            handle.remove()
    return -sum(logprobs[i - 1, ids[i]].item() for i in range(start, len(ids)))


PASSAGES = [Passage("papayas are heavy and old."), Passage("chapels need badgers"), *load_passages(None, demo=True)[:3]]


def test_a_passage_is_scored_behind_its_beginning(demo):
    queries = queries_of(demo, [(0, passage) for passage in PASSAGES], lambda cell: cell)
    found = measure(demo, queries, Steering([{}]), 16)
    for passage, record in zip(PASSAGES, found, strict=True):
        assert record["nll"] == pytest.approx(by_hand(demo, passage), rel=1e-4)
        assert record["tokens"] >= 1


@pytest.mark.parametrize(("rule", "first"), [("all", 0), ("completion", -1), ("generated", None), ("from_marker", -1)])
def test_every_rule_steers_a_passage_where_it_says(demo, rule, first):
    """The first half is the prompt; a passage has no marker, so from_marker is completion."""
    push = 3 * torch.randn(128, generator=torch.Generator().manual_seed(1))
    queries = queries_of(demo, [(0, passage) for passage in PASSAGES], lambda cell: cell)
    found = measure(demo, queries, Steering([{Site(1): push}], rule), 64)
    for passage, query, record in zip(PASSAGES, queries, found, strict=True):
        begin = len(query.prompt) if first is None else first
        assert record["nll"] == pytest.approx(by_hand(demo, passage, Site(1), push, begin), rel=1e-3), rule


def test_steering_hard_costs_more_and_it_is_recorded_at_every_cell(workspace, capsys):
    assert main(["vectors"]) == 0
    sweep = ["--multipliers", "-4", "0", "4", "--layer", "2", "--questions", "capability"]
    assert main(["apply", *sweep]) == 0
    assert "180 capability passages in 3 cells" in capsys.readouterr().out
    settings = ApplySettings(multipliers=(-4.0, 0.0, 4.0), layer=(2,))
    means = {}
    for cell in cells_of(open_experiment(settings), settings):
        records = read_measurements(Workspace(workspace), "capability", cell.key, "passage_id").values()
        assert {record["multiplier"] for record in records} == {cell.multiplier}
        means[cell.multiplier] = sum(record["nll"] for record in records) / sum(record["tokens"] for record in records)
    assert means[0.0] < 1  # the demo model knows its held-out texts
    assert min(means[-4.0], means[4.0]) > means[0.0] + 0.5
    assert main(["apply", *sweep]) == 0
    assert "already there" in capsys.readouterr().out


def test_another_text_is_measured_beside_the_first(workspace, tmp_path, capsys):
    assert main(["vectors"]) == 0
    sweep = ["apply", "--multipliers", "0", "--layer", "2", "--questions", "capability"]
    path = tmp_path / "mine.txt"
    path.write_text("papayas are heavy\n\nchapels are old", encoding="utf-8")
    assert main([*sweep, "--capability-text", str(path)]) == 0
    assert "2 capability passages" in capsys.readouterr().out
    path.write_text("papayas are heavy\n\nchapels are new", encoding="utf-8")
    assert main([*sweep, "--capability-text", str(path)]) == 0
    assert "1 capability passages" in capsys.readouterr().out
    assert main([*sweep, "--limit", "5"]) == 0
    assert "5 capability passages" in capsys.readouterr().out
