"""Texts are asked for by prompt; what is there is read, what is missing is written, and a kill changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from waiting import until

from engine.cd.decoding.numbers import MEASURES
from engine.cd.pairs.opening import open_pair, pair_source
from engine.cd.prompts.asked import asked_prompt, demo_texts
from engine.cd.settings import TextSettings
from engine.cd.texts.cells import cell_label
from engine.cd.texts.decoder import Decoder, open_decoder
from engine.cd.texts.records import MeasuredText, read_texts
from engine.cd.texts.scorer import ExternalText
from engine.errors import InputError
from engine.store import measurements_folder, read_catalog, responses_folder
from engine.workspace import Workspace

PLUMS, OWLS = (asked_prompt(f"Tell me about {what}.") for what in ("plums, a kind of food", "owls, a kind of animal"))
BRIEF = TextSettings(samples=2, max_new_tokens=12, batch_size=3)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    for name in ("TILLER_RUN", "TILLER_ATTEMPT_ID", "TILLER_ARTIFACTS", "TILLER_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    return Workspace(tmp_path)


@pytest.fixture(scope="module")
def pair():
    """One load for all tests of this file."""
    source = pair_source(BRIEF)
    return source, cache(lambda: open_pair(source, BRIEF))


@pytest.fixture
def decoder(workspace, pair) -> Decoder:
    return Decoder(workspace, BRIEF, *pair)


def again(decoder: Decoder) -> Decoder:
    """As a new process would open it."""
    return decoder.variant()


def said(texts: dict[str, list[MeasuredText]]) -> dict[str, list[str]]:
    return {name: [text.text for text in found] for name, found in texts.items()}


def assert_equal(one: MeasuredText, other: MeasuredText, tolerance: float = 1e-4) -> None:
    assert (one.id, one.text, list(one.tokens), list(one.token_ids)) == (
        other.id,
        other.text,
        list(other.tokens),
        list(other.token_ids),
    )
    for measure in MEASURES:
        np.testing.assert_allclose(one.numbers(measure), other.numbers(measure), atol=tolerance)


def test_texts_are_written_once_and_belong_to_their_prompts(decoder):
    first = decoder.texts([PLUMS, OWLS])
    assert list(first) == [PLUMS.id, OWLS.id]
    assert all(text.prompt_id == name for name, texts in first.items() for text in texts)
    assert [text.sample for text in first[OWLS.id]] == [0, 1]
    assert decoder.added == 4
    opened_again = again(decoder)
    assert said(opened_again.texts([OWLS, PLUMS])) == said(first)
    assert opened_again.added == 0


def test_more_samples_and_prompts_extend_the_cell_without_changing_it(decoder):
    few = decoder.texts([PLUMS], samples=1)
    many = again(decoder).texts([PLUMS, OWLS], samples=3)
    assert many[PLUMS.id][0].text == few[PLUMS.id][0].text
    assert [len(texts) for texts in many.values()] == [3, 3]


def test_a_text_depends_neither_on_the_batch_nor_on_other_prompts(decoder, pair):
    together = decoder.texts([PLUMS, OWLS])
    elsewhere = Workspace(decoder.workspace.root / "other")
    alone = Decoder(elsewhere, BRIEF.model_copy(update={"batch_size": 1}), *pair)
    for name, texts in alone.texts([OWLS]).items():
        for text, other in zip(texts, together[name], strict=True):
            assert_equal(text, other)


def test_pieces_make_up_the_text(decoder):
    for texts in decoder.texts([PLUMS, OWLS]).values():
        for text in texts:
            assert "".join(text.tokens).strip() == text.text
            assert len(text.tokens) == len(text.token_ids) == len(text.generated)


def test_lost_numbers_are_measured_again_from_the_text(decoder):
    whole = decoder.texts([PLUMS, OWLS])
    for path in measurements_folder(decoder.workspace, "divergences", decoder.key).iterdir():
        path.unlink()
    assert read_texts(decoder.workspace, decoder.key) == {}
    again(decoder).texts([OWLS])  # of nobody else's prompts, which need not be known here
    assert {text.prompt_id for text in read_texts(decoder.workspace, decoder.key).values()} == {OWLS.id}
    mended = again(decoder).texts([PLUMS, OWLS])
    for name, texts in whole.items():
        for text, other in zip(texts, mended[name], strict=True):
            assert_equal(text, other)


def test_numbers_without_their_text_are_written_again(decoder):
    """A writer is killed between the numbers and the text, or in the middle of the text's line."""
    whole = decoder.texts([PLUMS, OWLS])
    (path,) = responses_folder(decoder.workspace, decoder.key).iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:40])
    mended = again(decoder).texts([PLUMS, OWLS])
    for name, texts in whole.items():
        for text, other in zip(texts, mended[name], strict=True):
            assert_equal(text, other)
    assert len(read_texts(decoder.workspace, decoder.key)) == 4


def test_prompts_are_measured_when_that_is_wanted_later(decoder):
    bare = decoder.texts([PLUMS])
    assert bare[PLUMS.id][0].prompt_numbers is None
    wanted = decoder.variant(measure_prompt=True)
    assert wanted.key == decoder.key
    (first, second) = wanted.texts([PLUMS])[PLUMS.id]
    assert first.prompt_numbers is not None
    assert len(first.prompt_numbers) == len(first.prompt_tokens) > 5
    assert "".join(first.prompt_tokens).count("plums") == 1
    assert_equal(first, bare[PLUMS.id][0], tolerance=0)
    assert second.prompt_numbers is not None
    during = decoder.variant(measure_prompt=True, seed=1).texts([PLUMS])[PLUMS.id][0]
    np.testing.assert_allclose(first.numbers("kl", "prompt"), during.numbers("kl", "prompt"), atol=1e-4)


def test_variants_share_the_models_and_have_cells_of_their_own(decoder):
    alone = decoder.variant(rule="none")
    amateur = decoder.variant(rule="none", starting_weight=-1, comparison_weight=1)
    assert len({decoder.key, alone.key, amateur.key}) == 3
    assert said(alone.texts([PLUMS])) != said(amateur.texts([PLUMS]))
    rules = [record["facts"]["rule"] for record in read_catalog(decoder.workspace, "cells").values()]
    assert sorted(rules) == ["C alone", "S alone"]


def test_texts_of_a_role_lie_in_cells_of_their_own(decoder, pair):
    """Prompts that a search has chosen for their divergence must not bend the statistics of those that the user has."""
    decoder.texts([PLUMS])
    searched = Decoder(decoder.workspace, BRIEF, *pair, "search")
    found = searched.texts([PLUMS, OWLS])
    assert len({decoder.key, searched.key, Decoder(decoder.workspace, BRIEF, *pair, "pipeline").key}) == 3
    assert {text.prompt_id for text in read_texts(decoder.workspace, decoder.key).values()} == {PLUMS.id}
    assert said(found)[PLUMS.id] == said(decoder.texts([PLUMS]))[PLUMS.id]  # the same draws all the same
    assert searched.variant().key == searched.key != decoder.variant().key
    assert searched.scorer().key != decoder.scorer().key
    record = read_catalog(decoder.workspace, "cells")[searched.key]
    assert cell_label(record).endswith("for a search")
    assert record["inputs"] == decoder.source.inputs("search")


def test_a_variant_cannot_change_what_is_loaded(decoder):
    with pytest.raises(InputError, match="interpolate"):
        decoder.variant(interpolate=0.5)


def test_beams_are_kept_best_first_and_together(decoder):
    beams = decoder.variant(num_beams=3)
    found = beams.texts([PLUMS, OWLS])
    assert all(len({text.text for text in texts}) == 2 for texts in found.values())
    more = beams.variant().texts([PLUMS], samples=3)
    assert said(more)[PLUMS.id][:2] == said(found)[PLUMS.id]


def test_the_same_text_scored_from_outside_has_the_same_numbers(decoder):
    written = decoder.texts([PLUMS, OWLS])
    texts = [text for found in written.values() for text in found]
    scored = decoder.scored([ExternalText(asked_prompt(text.prompt), text.text) for text in reversed(texts)])
    for text, other in zip(reversed(texts), scored, strict=True):
        assert_equal(replace(other, id=text.id), text)
    assert {text.cell for text in scored} == {decoder.scorer().key} != {decoder.key}


def test_a_killed_command_goes_on_to_the_cell_of_an_undisturbed_one(workspace, pair):
    """The killed one is a process, and so is the one that goes on; the undisturbed texts are written in this process."""
    settings = BRIEF.model_copy(update={"samples": 3, "max_new_tokens": 20, "batch_size": 2})
    words = ["cd", "decode", "--prompts", "demo", "--limit", "10"]
    words += [word for name in ("samples", "max_new_tokens", "batch_size") for word in option(name, settings)]
    root = workspace.root / "killed"
    root.mkdir()
    (root / "tiller.toml").touch()

    def command() -> subprocess.Popen[str]:
        environment = {**os.environ, "TILLER_WORKSPACE": str(root), "OMP_NUM_THREADS": "1"}
        tiller = Path(sys.executable).with_name("tiller")
        return subprocess.Popen([tiller, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    process = command()
    until(lambda: len([*root.glob("artifacts/measurements/*/*/*.parquet")]) >= 2, "some texts are there")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    _, err = (process := command()).communicate(timeout=120)
    assert process.returncode == 0, err

    undisturbed = Decoder(workspace, settings, *pair)
    texts = undisturbed.texts([asked_prompt(text) for text in demo_texts()[:10]])
    killed = read_texts(Workspace(root), undisturbed.key)
    assert len(killed) == 30
    for found in texts.values():
        for text in found:
            assert_equal(killed[text.id], text)
    records = [path.read_text().count("\n") for path in root.glob("artifacts/responses/*/*.jsonl")]
    assert sum(records) == 30


def option(name: str, settings: TextSettings) -> list[str]:
    return [f"--{name.replace('_', '-')}", str(getattr(settings, name))]


def test_a_cell_is_opened_from_the_settings_of_a_command(workspace):
    assert open_decoder(BRIEF).key == open_decoder(BRIEF.model_copy(update={"samples": 9, "batch_size": 1})).key
    assert open_decoder(BRIEF).key != open_decoder(BRIEF.model_copy(update={"mask": 0.2})).key
