"""Whole analyses of made-up texts: what is planted is found; where nothing is, hardly anything is (spec §6.4, 7.15)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.cd.analysis.analysis import Analysis, analyse
from engine.cd.analysis.comparisons import Comparison, of_one_set
from engine.cd.analysis.findings import Finding, Trial, corrected, judged, pairs_of
from engine.cd.analysis.labels import Label, Shown, TermLabeller
from engine.cd.analysis.reading import halves
from engine.cd.analysis.regions import find_regions
from engine.cd.analysis.scorers import TermScorer
from engine.cd.analysis.settings import AnalyseSettings
from engine.cd.analysis.texts import AnalysedText, Texts, deal

WORDS = [f"{a}{b}{c}" for a in "bdgklmnprst" for b in "aeiou" for c in ("n", "r", "sk", "l")]


def sentence(r: random.Random, words: int = 8) -> str:
    return " ".join(r.choices(WORDS, [1 / (rank + 3) for rank in range(len(WORDS))], k=words))


def two_sets(
    seed: int, prompts: int = 40, samples: int = 4, change: Callable[[random.Random, str], str] | None = None
) -> list[AnalysedText]:
    """Both sets answer the same prompts; `change` is done to texts of the first."""
    r = random.Random(seed)
    return [
        AnalysedText(
            f"{of}:{prompt}:{sample}", f"p{prompt:03}", f"prompt {prompt}", sample,
            change(r, sentence(r)) if change and of == 0 else sentence(r), r.random(), 0.0, of,
        )
        for of in (0, 1) for prompt in range(prompts) for sample in range(samples)
    ]  # fmt: skip


def dealt(found: list[AnalysedText], settings: AnalyseSettings, names: tuple[str, ...] = ("A", "B")) -> Texts:
    return deal(names, found, settings.unit, settings.permute, settings.label_share, settings.select_share, settings.seed)


def offline(texts: Texts, settings: AnalyseSettings) -> Trial:
    return Trial(texts, TermLabeller(settings.term_length, 2 if settings.unit == "prompt" else 1), TermScorer(), settings)


def word_vectors(texts: Texts, width: int = 12) -> np.ndarray:
    """An embedding by chance: words have random directions, a text is their mean. [texts, width] float32."""

    def direction(word: str) -> np.ndarray:
        return np.random.default_rng(list(word.encode())).normal(size=width)

    return np.array([np.mean([direction(word) for word in text.text.split()], axis=0) for text in texts.all], np.float32)


SETTINGS = AnalyseSettings(cell="a", clusters=3, permutations=1999, labels=3, keep=2)


def sometimes(r: random.Random, text: str) -> str:
    return f"{text} wexo runs again" if r.random() < 0.4 else text


def analysed(found: list[AnalysedText], settings: AnalyseSettings = SETTINGS) -> tuple[Texts, Analysis]:
    texts = dealt(found, settings)
    return texts, analyse(offline(texts, settings), word_vectors(texts))


def test_what_is_planted_is_found_and_nothing_else():
    _, found = analysed(two_sets(0, change=sometimes))
    valid = [one for one in found.findings if one.validated(0.05)]
    assert any(one.comparison == "A over B" for one in valid)
    assert all("wexo" in one.statement or "runs again" in one.statement or one.kind == "share" for one in valid)
    best = next(one for one in valid if one.comparison == "A over B")
    assert best.validation.negative_rate == 0
    assert best.validation.low < best.validation.positive_rate / 2 + 0.5 < best.validation.high


def test_p_values_of_all_tests_are_corrected_together():
    _, found = analysed(two_sets(0, change=sometimes))
    ps = sorted(one.validation.p for one in found.findings)
    by_hand = [min(p * len(ps) / (rank + 1) for rank, p in enumerate(ps) if rank >= place) for place in range(len(ps))]
    assert sorted(one.adjusted for one in found.findings) == pytest.approx(np.minimum(by_hand, 1))
    assert corrected([]) == []


def test_the_same_texts_and_seed_give_the_same_findings():
    assert analysed(two_sets(3, prompts=20))[1] == analysed(two_sets(3, prompts=20)[::-1])[1]


def test_a_cell_compared_with_itself_shows_what_was_planted_there():
    own: dict[str, list[AnalysedText]] = {}
    for text in two_sets(5, prompts=40, samples=8):
        if text.of == 0:
            own.setdefault(text.prompt_id, []).append(text)
    found = {}
    for planted in (True, False):
        sets = halves(own, planted)
        _, analysis = analysed([text for half in sets for texts in half.values() for text in texts])
        found[planted] = [one.statement for one in analysis.findings if one.validated(0.05) and one.comparison == "B over A"]
    assert any("dummy" in statement for statement in found[True])
    assert not found[False]


def test_half_of_a_prompts_texts_are_left_as_they_are_and_first_words_are_never_replaced():
    own = {"p": [AnalysedText(f"t{number}", "p", "", number, " ".join(["word"] * 40), 0, 0, 0) for number in range(40)]}
    first, second = (half["p"] for half in halves(own, planted=True))
    assert (len(first), len(second)) == (20, 20)
    assert not any("dummy" in text.text for text in first)
    words = [word for text in second for word in text.text.split()[2:]]
    assert words.count("dummy") / len(words) == pytest.approx(0.05, abs=0.025)
    assert all(text.text.startswith("word word") for text in second)


class Recorder:
    """Who writes the labels here remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Shown] = []

    def write(self, shown: Shown, count: int) -> list[Label]:
        self.shown.append(shown)
        return [Label(f"label {number} of {shown.name}") for number in range(count)]


class Judge:
    """Who judges here remembers what it was asked about each label."""

    asks = True

    def __init__(self) -> None:
        self.asked: dict[str, list[str]] = {}

    def score(self, label: Label, texts) -> list[float | None]:
        self.asked.setdefault(label.text, []).extend(texts)
        return [len(text) % 7 / 7 for text in texts]

    def compare(self, label: Label, pairs) -> list[float | None]:
        self.asked.setdefault(label.text, []).extend(text for pair in pairs for text in pair)
        return [None if number == 0 else 0.5 + 0.1 * (len(one) - len(other) > 0) for number, (one, other) in enumerate(pairs)]


@pytest.mark.parametrize("mode", ["unitary", "head-to-head"])
def test_no_text_that_a_label_was_written_from_is_judged(mode):
    settings = SETTINGS.model_copy(update={"mode": mode, "permutations": 19})
    texts = dealt(two_sets(1), settings)
    writer, judge = Recorder(), Judge()
    analyse(Trial(texts, writer, judge, settings), word_vectors(texts))
    prompts = {text.text: text.prompt_id for text in texts.all}
    part_of = {text.prompt_id: str(part) for text, part in zip(texts.all, texts.parts, strict=True)}
    for shown in writer.shown:
        read = {prompts[text] for text in (*shown.positive, *shown.negative)}
        assert {part_of[prompt] for prompt in read} == {"label"}
    asked = [{part_of[prompts[text]] for text in texts} for texts in judge.asked.values()]
    assert all(parts <= {"select", "test"} for parts in asked)
    assert sum("test" in parts for parts in asked) < len(asked), "labels that were not chosen are not tested"


def test_what_the_judge_does_not_answer_is_counted_not_scored():
    settings = SETTINGS.model_copy(update={"mode": "head-to-head", "permutations": 19})
    texts = dealt(two_sets(1), settings)
    found = analyse(Trial(texts, Recorder(), Judge(), settings), word_vectors(texts)).findings
    assert {one.unanswered for one in found if one.kind == "label"} == {1}


def test_small_groups_are_named_and_never_scored():
    found = two_sets(2, prompts=30)
    few = [text for text in found if text.of == 0 or text.prompt_id < "p003"]
    _, analysis = analysed(few)
    reasons = {one.comparison: one.reason for one in analysis.skipped}
    assert "A over B" in reasons
    assert "needed" in reasons["A over B"] or "one prompt" in reasons["A over B"]
    assert not [one for one in analysis.findings if one.comparison in reasons]


def test_clusters_below_the_smallest_size_are_named_and_never_labelled():
    settings = SETTINGS.model_copy(update={"min_cluster_size": 1000})
    _, analysis = analysed(two_sets(2, prompts=30), settings)
    assert [one.reason.endswith("--min-cluster-size is 1000") for one in analysis.skipped] == [True] * len(analysis.regions)
    assert {one.comparison for one in analysis.findings} <= {"A over B", "B over A"}


def test_one_set_is_told_apart_by_clusters_and_by_divergence():
    r = random.Random(0)
    found = [
        replace(text, text=f"{text.text} zumi", divergence=1 + r.random()) if int(text.prompt_id[1:]) % 3 == 0 else text
        for text in two_sets(4, prompts=60) if text.of == 0
    ]  # fmt: skip
    settings = SETTINGS.model_copy(update={"clusters": 2})
    texts = dealt(found, settings, ("A",))
    vectors = np.array([[5.0 * ("zumi" in text.text), r.random()] for text in texts.all], np.float32)
    analysis = analyse(offline(texts, settings), vectors)
    about = {one.comparison for one in analysis.findings if one.validated(0.05) and "zumi" in one.statement}
    assert {"cluster 1 over the rest", "high over low divergence"} <= about
    assert analysis.regions[0].divergences[0] is not None
    assert analysis.regions[0].divergences[0] > 1


@pytest.mark.parametrize("of", [(0, 1), (0,)])
def test_texts_that_are_tested_on_do_not_shape_the_regions(of):
    texts = dealt([text for text in two_sets(1) if text.of in of], SETTINGS, ("A", "B")[: len(of)])
    vectors = word_vectors(texts)
    moved = vectors.copy()
    moved[texts.test] = np.random.default_rng(0).normal(0, 9, moved[texts.test].shape)
    seen = texts.part("label", "select")
    dealt_to = [find_regions(texts, one, SETTINGS, 0, 1)[1][seen] for one in (vectors, moved)]
    groups = [{frozenset(np.flatnonzero(one == region)) for region in set(one.tolist())} for one in dealt_to]
    assert len(groups[0]) == SETTINGS.clusters
    assert groups[0] == groups[1]


def test_texts_that_are_tested_on_do_not_move_the_line_between_high_and_low_divergence():
    texts = dealt([text for text in two_sets(1) if text.of == 0], SETTINGS, ("A",))
    test = set(texts.test.tolist())
    moved = replace(texts, all=tuple(replace(one, divergence=9.0) if at in test else one for at, one in enumerate(texts.all)))
    seen = texts.part("label", "select")
    high, again = (of_one_set(one, np.zeros(len(texts), np.intp), ["all"])[-1].positive[seen] for one in (texts, moved))
    assert high.tolist() == again.tolist()
    assert high.sum() == len(high) // 2


def test_single_texts_of_one_prompt_and_sample_are_in_one_part_whichever_set_they_are_of():
    texts = dealt(two_sets(1, prompts=1, samples=40), SETTINGS.model_copy(update={"unit": "text"}))
    parts: dict[int, set[str]] = {}
    for text, part in zip(texts.all, texts.parts, strict=True):
        parts.setdefault(text.sample, set()).add(str(part))
    assert {len(found) for found in parts.values()} == {1}


def test_what_the_first_model_finds_likelier_has_the_smaller_loss_under_it():
    found = [replace(text, log_ratio=1.0 - text.of) for text in two_sets(0, change=sometimes)]
    about = {one.comparison: one.loss_shift for one in analysed(found)[1].findings if one.kind == "label"}
    assert (about["A over B"], about["B over A"]) == (-1.0, 1.0)


@pytest.mark.parametrize("more", ["A", "B"])
def test_a_share_is_tested_and_told_in_the_direction_that_it_has(more):
    texts = dealt(two_sets(1), SETTINGS)
    r = random.Random(0)
    often = [0.8 if texts.names[text.of] == more else 0.2 for text in texts.all]
    regions = np.array([int(r.random() < share) for share in often])
    found = offline(texts, SETTINGS).share(1, "region 2", regions)
    assert isinstance(found, Finding)
    assert found.statement == f"More texts of {more} are in region 2"
    assert found.validation.p < 0.01
    assert 0.5 < found.validation.low < found.validation.score < found.validation.high


@pytest.mark.parametrize("permute", [None, "prompt"])
@pytest.mark.parametrize("of", [(0, 1), (0,)])
def test_each_text_is_compared_head_to_head_with_another(of, permute):
    settings = SETTINGS.model_copy(update={"permute": permute})
    texts = dealt([text for text in two_sets(1) if text.of in of], settings, ("A", "B")[: len(of)])
    pairs = pairs_of(texts, texts.test, 0)
    assert {place for pair in pairs for place in pair} == set(range(len(texts.test)))
    assert all(one != other for one, other in pairs)
    sides = [(texts.all[texts.test[one]], texts.all[texts.test[other]]) for one, other in pairs]
    if len(of) == 2:
        assert all(one.prompt_id == other.prompt_id for one, other in sides)
        assert (permute is None) != all(one.of != other.of for one, other in sides)


def test_a_judge_is_asked_about_so_many_texts_at_most_as_many_of_either_set():
    texts = dealt(two_sets(1), SETTINGS)
    everything = np.ones(len(texts), dtype=bool)
    taken = judged(texts, Comparison("x", texts.first, everything), "test", 21)
    assert (len(taken), int(texts.first[taken].sum())) == (20, 10)


def test_a_judge_is_spared_and_terms_are_looked_for_in_every_text():
    settings = SETTINGS.model_copy(update={"most_judged": 20, "permutations": 19, "clusters": 1})
    texts = dealt(two_sets(1), settings)
    for scorer, most in ((TermScorer(), len(texts.test)), (Judge(), 20)):
        found = analyse(Trial(texts, TermLabeller(3, 2), scorer, settings), word_vectors(texts)).findings
        assert {one.validation.positives + one.validation.negatives for one in found if one.kind == "label"} == {most}


@pytest.mark.slow
@pytest.mark.parametrize("permute", [None, "prompt"])
def test_of_a_hundred_analyses_of_nothing_at_most_ten_find_something(permute):
    settings = SETTINGS.model_copy(update={"permute": permute})
    found = 0
    for trial in range(100):
        _, analysis = analysed(two_sets(1000 + trial, prompts=24, samples=3), settings)
        found += any(one.validated(0.05) for one in analysis.findings)
    assert found <= 10


@pytest.mark.slow
def test_power_exceeds_nine_tenths_when_a_phrase_is_planted():
    settings = SETTINGS.model_copy(update={"clusters": 1})
    found = 0
    for trial in range(50):
        _, analysis = analysed(two_sets(2000 + trial, prompts=30, change=sometimes), settings)
        found += any(one.validated(0.05) and "wexo" in one.statement for one in analysis.findings)
    assert found > 45
