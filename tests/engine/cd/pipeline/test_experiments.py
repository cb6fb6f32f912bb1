"""Experiments carried out on texts that are given: on which prompts, in which direction, and what their numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from engine.cd.pipeline.experiments import Laboratory, TooFew
from engine.cd.pipeline.hypotheses import Experiment
from engine.cd.pipeline.judging import NoJudge
from engine.cd.pipeline.splits import is_held_out
from engine.cd.pipeline.view import Observation, Side, Texts
from engine.cd.prompts.asked import AskedPrompt, asked_prompt

POOL = [asked_prompt(f"What is thing number {number}?") for number in range(40)]


class Given:
    """said: (side, prompt) → its text; divergences: of a prompt's texts."""

    def __init__(self, said: Callable[[Side, AskedPrompt], str], divergence: Callable[[AskedPrompt], float]) -> None:
        self._said, self._divergence = said, divergence
        self.asked: set[str] = set()

    def of(self, side: Side, prompts: Sequence[AskedPrompt]) -> Texts:
        self.asked |= {prompt.id for prompt in prompts}
        return {
            one.id: tuple(Observation(one.id, one.text, n, self._said(side, one), self._divergence(one)) for n in range(3))
            for one in prompts
        }


class Reader:
    """Judges by looking for the criterion's last word, and says nothing of texts with a question mark."""

    def answers(self, criterion: str, texts: Sequence[Observation]) -> list[float | None]:
        return [None if "?" in one.text else float(criterion.split()[-1] in one.text) for one in texts]


def laboratory(said=lambda side, _: f"{side} text", divergence=lambda _: 0.0, judge=None, most=40):
    source = Given(said, divergence)
    made = Laboratory(source, judge or NoJudge(), POOL, held_out=0.5, most=most, permutations=499, seed=1)
    return made, source


def blue(side: Side, prompt: AskedPrompt) -> str:
    return "it is blue, very blue indeed" if side == "comparison" else "it is red"


def test_a_test_uses_held_out_prompts_and_a_look_the_others():
    experiment = Experiment("contains", "comparison", phrases=("blue",))
    for name, side in (("test", True), ("look", False)):
        made, source = laboratory(blue)
        found = getattr(made, name)("h1", experiment, (), ())
        assert source.asked == {prompt.id for prompt in POOL if is_held_out(prompt.id, 0.5) == side}
        assert (found.p is not None) == side
        assert found.kind == ("held-out" if side else "development")
        assert (found.prompts, found.texts) == (len(source.asked), 6 * len(source.asked))


@pytest.mark.parametrize(("measure", "means"), [("contains", (0.0, 1.0)), ("words", (3.0, 6.0)), ("criterion", (0.0, 1.0))])
def test_the_direction_is_the_one_that_was_expected(measure, means):
    made, _ = laboratory(blue, judge=Reader())
    for expected, surely in (("comparison", True), ("starting", False)):
        experiment = Experiment(measure, expected, phrases=("Blue",), criterion="Is it blue")
        found = made.test("h1", experiment, (), ())
        assert (found.starting, found.comparison) == means
        assert (found.effect > 0) == surely
        assert found.p == pytest.approx(1 / 500 if surely else 1)


def test_divergence_of_own_prompts_is_held_against_the_others_of_the_pool_or_against_controls():
    own = POOL[:20]
    names = {prompt.id for prompt in own}
    made, source = laboratory(divergence=lambda prompt: 1.0 if prompt.id in names else 0.25)
    for expected, surely in (("higher", True), ("lower", False)):
        found = made.test("h1", Experiment("divergence", expected), own, ())
        assert (found.starting, found.comparison) == (1.0, 0.25)
        assert (found.effect, found.p) == (pytest.approx(1 if surely else -1), pytest.approx(1 / 500 if surely else 1))
        assert found.prompts + found.controls == len(source.asked) == sum(is_held_out(prompt.id, 0.5) for prompt in POOL)
    made, source = laboratory(divergence=lambda prompt: 1.0 if prompt.id in names else 0.25)
    made.test("h1", Experiment("divergence", "higher"), own, POOL[20:30])
    assert not source.asked & {prompt.id for prompt in POOL[30:]}


def test_what_a_judge_does_not_answer_is_left_out_and_counted():
    silent = next(prompt for prompt in POOL if is_held_out(prompt.id, 0.5))
    made, _ = laboratory(
        lambda side, prompt: "blue?" if prompt == silent and side == "starting" else blue(side, prompt), judge=Reader()
    )
    found = made.test("h1", Experiment("criterion", "comparison", criterion="Is it blue"), (), ())
    assert found.unread == 3
    assert found.prompts == sum(is_held_out(prompt.id, 0.5) for prompt in POOL) - 1


def test_too_few_prompts_are_not_tested():
    made, _ = laboratory(blue)
    few = [prompt for prompt in POOL if is_held_out(prompt.id, 0.5)][:3]
    with pytest.raises(TooFew, match="only 3 held-out prompts; 4 are needed"):
        made.test("h1", Experiment("contains", "comparison", phrases=("blue",)), few, ())
