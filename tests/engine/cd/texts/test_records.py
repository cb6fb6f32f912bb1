"""Texts with their numbers are read back as they were written, whoever wrote them and however they were stopped."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.cd.decoding.numbers import MEASURES, TokenNumbers
from engine.cd.settings import DecodeSettings, TextSettings
from engine.cd.texts.cells import cell_label
from engine.cd.texts.records import MeasuredText, append_numbers, append_texts, read_cells, read_means, read_texts
from engine.errors import EngineError, InputError
from engine.store import Response, Segment, measurements_folder, record_cell, response_id, responses_folder, text_hash
from engine.workspace import Workspace

CELL = "c0ffee0000000000"


def numbers(tokens: int, alternatives: int = 2, seed: int = 0) -> TokenNumbers:
    draw = np.random.default_rng(seed)
    values = {name: draw.random(tokens).astype(np.float32) for name in MEASURES}

    def ranked() -> tuple[np.ndarray, np.ndarray]:
        shape = (tokens, alternatives)
        return draw.integers(0, 99, shape).astype(np.int32), draw.random(shape).astype(np.float32)

    return TokenNumbers(values, ranked(), ranked(), ranked())


def measured(sample: int, words: str = "some words here", prompt: TokenNumbers | None = None, cell: str = CELL) -> MeasuredText:
    tokens = words.split()
    return MeasuredText(
        response_id(cell, "p1", sample), cell, "p1", "Tell me.", sample, words, tokens, list(range(len(tokens))),
        numbers(len(tokens), seed=sample), ["me", "."] if prompt else [], prompt,
    )  # fmt: skip


def response(text: MeasuredText) -> Response:
    return Response(
        text.id,
        text.cell,
        text.prompt_id,
        text.prompt,
        text.sample,
        7,
        text.text,
        text_hash(text.text),
        "stop",
        len(text.tokens),
    )


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def write(workspace: Workspace, *texts: MeasuredText, writer: str = "w") -> None:
    with Segment(responses_folder(workspace, CELL), writer) as segment:
        append_texts(workspace, segment, writer, [response(text) for text in texts], texts)


def assert_same(found: TokenNumbers | None, expected: TokenNumbers | None) -> None:
    assert (found is None) == (expected is None)
    if found is None or expected is None:
        return
    assert found.values.keys() == expected.values.keys()
    for name in expected.values:
        np.testing.assert_array_equal(found.values[name], expected.values[name])
    for name in ("starting_top", "comparison_top", "terms"):
        for one, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other if len(found) else other[:, :0])  # nothing to tell how many there were


def test_texts_come_back_with_every_number(workspace):
    texts = [measured(0, prompt=numbers(2, seed=9)), measured(1, "", None), measured(2, "two words")]
    write(workspace, *texts[:2])
    write(workspace, texts[2], writer="another")
    found = read_texts(workspace, CELL)
    assert list(found) == [text.id for text in texts]
    for text in texts:
        one = found[text.id]
        assert (one.text, list(one.tokens), list(one.token_ids)) == (text.text, list(text.tokens), list(text.token_ids))
        assert list(one.prompt_tokens) == list(text.prompt_tokens)
        assert_same(one.generated, text.generated)
        assert_same(one.prompt_numbers, text.prompt_numbers)


def test_segments_of_other_numbers_of_alternatives_are_read_together(workspace):
    few, many = measured(0), measured(1)
    many = replace(many, generated=numbers(3, alternatives=7, seed=3))
    write(workspace, few)
    write(workspace, many, writer="b")
    found = read_texts(workspace, CELL)
    assert found[few.id].generated.terms[0].shape == (3, 2)
    assert found[many.id].generated.terms[0].shape == (3, 7)


def test_a_writer_that_measures_no_prompts_takes_none_away(workspace):
    """Two commands write one cell at the same time, and the one with --measure-prompt is the first to have a text."""
    whole, bare = measured(0, prompt=numbers(2, seed=9)), measured(0)
    write(workspace, whole)
    write(workspace, bare, writer="x")
    assert_same(read_texts(workspace, CELL)[whole.id].prompt_numbers, whole.prompt_numbers)
    assert read_means(workspace, CELL, "prompt").means["kl"] == pytest.approx([whole.mean("kl", "prompt")])


def test_numbers_join_only_the_text_that_they_are_about(workspace):
    """A killed writer left numbers; the text that was then written is another one, with numbers of its own."""
    append_numbers(workspace, CELL, "killed", [measured(0, "the text that was lost")])
    assert read_texts(workspace, CELL) == {}
    text = measured(0, "another text")
    write(workspace, text)
    assert_same(read_texts(workspace, CELL)[text.id].generated, text.generated)
    append_numbers(workspace, CELL, "late", [measured(0, "the text that was lost")])
    assert read_texts(workspace, CELL)[text.id].text == "another text"


def test_the_newest_numbers_of_a_text_are_read(workspace):
    bare, whole = measured(0), measured(0, prompt=numbers(2, seed=4))
    write(workspace, bare)
    append_numbers(workspace, CELL, "x", [whole])
    assert_same(read_texts(workspace, CELL)[bare.id].prompt_numbers, whole.prompt_numbers)


def test_a_response_without_numbers_is_not_read(workspace):
    text = measured(0)
    with Segment(responses_folder(workspace, CELL), "w") as segment:
        segment.append({name: getattr(response(text), name) for name in Response.__slots__})
    assert read_texts(workspace, CELL) == {}


def test_columns_agree_with_single_texts(workspace):
    write(
        workspace,
        *(measured(sample, "w " * (sample + 1), numbers(2, seed=50 + sample)) for sample in range(5)),
        measured(5, ""),
    )
    texts, means = list(read_texts(workspace, CELL).values()), read_means(workspace, CELL)
    prompts = read_means(workspace, CELL, "prompt")
    assert means.ids == [text.id for text in texts]
    assert means.token_counts.tolist() == [len(text.tokens) for text in texts]
    for measure in MEASURES:
        np.testing.assert_allclose(means.means[measure], [text.mean(measure) for text in texts])
        np.testing.assert_allclose(prompts.means[measure], [text.mean(measure, "prompt") for text in texts])
    np.testing.assert_allclose(means.perplexity("starting"), [text.perplexity("starting") for text in texts])
    assert "weighted" not in means.means


@pytest.mark.parametrize(("region", "tokens"), [("generated", 4), ("generated", 2), ("prompt", 2), ("both", 4)])
def test_perplexity_of_uniform_logits_is_the_vocabulary_in_every_region(region, tokens):
    """§8.5: 4.0 over 4 tokens; of the last two alone the original said 16."""
    uniform = TokenNumbers(
        {name: np.full(tokens, math.log(0.25), np.float32) for name in MEASURES}, *(numbers(tokens).terms for _ in range(3))
    )
    text = MeasuredText("i", CELL, "p", "", 0, "", [""] * tokens, [0] * tokens, uniform, [""] * tokens, uniform)
    assert text.perplexity("starting", region) == pytest.approx(4.0)
    assert text.perplexity("comparison", region) == pytest.approx(4.0)


def test_the_mean_over_both_regions_counts_every_token_once():
    text = measured(0, "a b c", numbers(2, seed=8))
    assert text.prompt_numbers is not None
    every = [*text.prompt_numbers.values["kl"], *text.generated.values["kl"]]
    assert text.mean("kl", "both") == pytest.approx(sum(map(float, every)) / 5)


def test_a_region_that_was_not_measured_has_no_mean():
    bare = measured(0)
    assert math.isnan(bare.mean("kl", "prompt"))
    assert math.isnan(bare.mean("kl", "both"))


def test_a_damaged_file_is_named(workspace):
    write(workspace, measured(0))
    path = next(measurements_folder(workspace, "divergences", CELL).glob("*.parquet"))
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(EngineError, match=path.name):
        read_texts(workspace, CELL)


def cells(workspace: Workspace, *keys: str) -> None:
    facts = {"starting": {"name": "models/one"}, "comparison": {"name": "other"}, "rule": "S − C logprob"}
    for key in keys:
        record_cell(workspace, key, DecodeSettings(temperature=0.5).text_settings(), {}, facts)
        responses_folder(workspace, key).mkdir(parents=True)


def test_cells_are_found_by_the_beginning_of_their_keys(workspace):
    cells(workspace, "aa11", "aa22", "bb33")
    assert read_cells(workspace, ["bb", "aa1", "b"]) == ["bb33", "aa11"]
    for wrong, said in ((["a"], "beginning of 2"), (["zz"], "No cell of texts begins with 'zz'"), ([], "There are 3 cells")):
        with pytest.raises(InputError, match=said):
            read_cells(workspace, wrong)


def test_without_a_name_the_only_cell_is_meant(workspace):
    with pytest.raises(InputError, match="tiller cd decode"):
        read_cells(workspace, [])
    cells(workspace, "aa11")
    assert read_cells(workspace, []) == ["aa11"]


def test_a_label_tells_the_models_and_what_is_not_at_its_default():
    facts = {"starting": {"name": "models/one"}, "comparison": {"name": "other"}, "rule": "S − C logprob"}
    record = {"facts": facts, "settings": TextSettings(mask=0.3, samples=9).record()}
    assert cell_label(record) == "one / other, S − C logprob, mask 0.3"
    persona = {"facts": facts, "settings": TextSettings(starting_prefix="You are rude. " * 99).record()}
    assert len(cell_label(persona)) < 100
    assert cell_label(persona).endswith("starting prefix You are rude. You are rude. You are rude…")
