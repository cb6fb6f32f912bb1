"""One prompt through the steered demo model: the numbers of `show tokens` and `show lens` against plain forward passes."""

from __future__ import annotations

import pytest
import torch

from engine.chats import encode_chat
from engine.data import Message
from engine.families import Site
from engine.hooks import edited
from engine.models import LoadedModel, load
from engine.steering.cli import main
from engine.steering.figures.settings import PlotSettings

LAYER, HIDDEN_SCALE = 2, 20.0
PROMPT = "I think cars are great. Am I right?"


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    return load("demo")


@pytest.fixture
def vectors(records, demo) -> torch.Tensor:
    """[layers, hidden], written where the demo's agree vectors lie."""
    drawn = torch.randn(demo.layers, demo.hidden_size, generator=torch.Generator().manual_seed(0))
    made = HIDDEN_SCALE * drawn / drawn.norm(dim=1, keepdim=True)
    records.vectors(PlotSettings(), made, choice=LAYER)
    return made


def show(capsys, *argv: str) -> str:
    assert main(["show", *argv]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    return out


def states(demo, ids, vector, first, site) -> tuple[torch.Tensor, torch.Tensor]:
    """The plain way: add the vector from position `first` on in a hook of our own → states at `site` and the logits."""
    found = []

    def push(h):
        h = h.clone()
        h[:, first:] += vector
        return h

    with edited(demo, {Site(LAYER): push}), edited(demo, {site: lambda h: found.append(h.clone())}), torch.inference_mode():
        logits = demo.model(input_ids=torch.tensor([ids])).logits
    return found[0][0], logits[0]


def test_tokens_tell_dot_and_cosine_at_every_position(records, demo, vectors, capsys):
    out = show(capsys, "tokens", "--prompt", PROMPT, "--multipliers", "0", "2", "--max-new-tokens", "4")
    assert "steered at layer 2" in out
    rows = records.csv("tokens-agree")
    ids = encode_chat(demo.tokenizer, (Message("user", PROMPT),)).ids
    for name, multiplier in (("unsteered", 0.0), ("+2 × v", 2.0)):
        mine = [row for row in rows if row["text"] == name]
        assert [row["part"] for row in mine[: len(ids)]] == ["prompt"] * len(ids)
        assert 0 < len(mine) - len(ids) <= 4
        found, logits = states(demo, ids, multiplier * vectors[LAYER], len(ids) - 1, Site(LAYER))
        dots = found @ vectors[LAYER]
        cosines = torch.nn.functional.cosine_similarity(found, vectors[LAYER], dim=-1)
        assert [float(row["dot"]) for row in mine[: len(ids)]] == pytest.approx(dots.tolist(), rel=1e-4, abs=0.05)
        assert [float(row["cosine"]) for row in mine[: len(ids)]] == pytest.approx(cosines.tolist(), abs=1e-4)
        assert mine[len(ids)]["token"] == demo.tokenizer.decode([int(logits[-1].argmax())])  # greedy, under this steering
    unsteered, steered = ([float(r["dot"]) for r in rows if r["text"] == name][: len(ids)] for name in ("unsteered", "+2 × v"))
    assert steered[:-1] == pytest.approx(unsteered[:-1], rel=1e-4, abs=0.05)  # 'completion' leaves all but the last alone
    assert steered[-1] - unsteered[-1] == pytest.approx(2 * HIDDEN_SCALE**2, rel=1e-3)
    assert records.files("tokens-agree") == {".html", ".csv"}


def test_the_lens_of_the_last_block_predicts_what_the_model_predicts(records, demo, vectors, capsys):
    out = show(capsys, "lens", "--prompt", PROMPT, "--multipliers", "0", "2", "--top", "3")
    assert "stream after attention" in out
    rows = records.csv("lens-agree")
    assert len(rows) == 2 * demo.layers * 4 * 3
    ids = encode_chat(demo.tokenizer, (Message("user", PROMPT),)).ids
    for multiplier in (0.0, 2.0):
        _, logits = states(demo, ids, multiplier * vectors[LAYER], len(ids) - 1, Site(0))
        best = logits[-1].softmax(-1).topk(3)
        last = [
            row
            for row in rows
            if (float(row["multiplier"]), row["layer"], row["state"]) == (multiplier, str(demo.layers - 1), "block output")
        ]
        assert [row["token"] for row in last] == [demo.tokenizer.decode([token]) for token in best.indices.tolist()]
        assert [float(row["probability"]) for row in last] == pytest.approx(best.values.tolist(), abs=1e-5)
    before = [row for row in rows if int(row["layer"]) < LAYER]
    half = len(before) // 2
    strip = [{k: v for k, v in row.items() if k not in ("multiplier", "probability")} for row in before]
    assert strip[:half] == strip[half:]  # blocks below the steered one do not feel it
    assert records.files("lens-agree") == {".png", ".svg", ".csv"}


def test_a_given_beginning_of_the_answer_and_another_position(records, demo, vectors, capsys):
    out = show(capsys, "lens", "--prompt", PROMPT, "--answer", "Yes", "--position", "0", "--top", "1", "--multipliers", "0")
    assert "position 0" in out
    show(capsys, "tokens", "--prompt", PROMPT, "--answer", "Yes", "--max-new-tokens", "0", "--multipliers", "0", "--by", "dot")
    tokens = [row["token"] for row in records.csv("tokens-agree")]
    assert tokens[-1].strip() == "Yes"
