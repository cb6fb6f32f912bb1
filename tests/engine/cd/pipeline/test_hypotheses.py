"""What is claimed, how it may be tested, and what a test makes of it."""

from __future__ import annotations

import json

import pytest

from engine.cd.pipeline.hypotheses import (
    Evidence,
    Experiment,
    Hypothesis,
    Status,
    hypothesis_of,
    judged,
    read_claim,
    read_experiment,
    record_of,
)
from engine.cd.pipeline.splits import in_fair_order, is_held_out
from engine.cd.pipeline.stopping import Rules, adjusted, reason_to_stop
from engine.cd.prompts.asked import asked_prompt
from engine.data_making.parsing import Unfit


def evidence(p: float, effect: float = 0.5, low: float = 0.2, high: float = 0.8) -> Evidence:
    return Evidence("held-out", 0.5, 0.2, "Cohen's h", effect, low, high, 20, 0, 160, p=p, level=0.01)


def hypothesis(name: str, cycle: int, p: float, status: Status = "inconclusive") -> Hypothesis:
    return Hypothesis(name, cycle, "A claim about it.", "", status, Experiment("words", "starting"), (evidence(p),))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ([], "no object"),
        ({"measure": "regex", "expected": "starting"}, "measure is 'regex'"),
        ({"measure": "words", "expected": "higher"}, "expected is 'higher'"),
        ({"measure": "divergence", "expected": "starting", "prompts": ["a"]}, "expected is 'starting'"),
        ({"measure": "contains", "expected": "starting"}, "without phrases"),
        ({"measure": "contains", "expected": "starting", "phrases": [3]}, "an entry of phrases is no text"),
        ({"measure": "criterion", "expected": "starting"}, "criterion missing"),
        ({"measure": "divergence", "expected": "higher"}, "without prompts"),
        ({"measure": "divergence", "expected": "higher", "prompts": ["a"], "controls": ["a"]}, "its own control"),
        ({"measure": "words", "expected": "starting", "prompts": "a"}, "prompts is no list"),
    ],
)
def test_experiments_that_cannot_be_run_say_why(record, why):
    with pytest.raises(Unfit, match=why):
        read_experiment(record, 10)


def test_an_experiment_keeps_what_its_measure_needs():
    record = {
        "measure": "contains",
        "expected": "comparison",
        "phrases": ["one", "one", "two"],
        "criterion": None,
        "prompts": [f"prompt {number}" for number in range(30)],
        "controls": ["other"],
    }
    found = read_experiment(record, 16)
    assert (found.phrases, found.criterion, found.controls) == (("one", "two"), None, ())
    assert len(found.prompts) == 16


def test_claims_are_whole_sentences_without_blanks():
    assert read_claim({"claim": "S says  more\nof it.", "reason": "seen"}) == ("S says more of it.", "seen")
    for record in ({"claim": "no"}, {"claim": "It is about [topic] today."}, {"reason": "x"}, "text", {"claim": 3}):
        with pytest.raises(Unfit):
            read_claim(record)


@pytest.mark.parametrize(
    ("rejected", "high", "status"),
    [(True, 0.8, "supported"), (False, 0.8, "inconclusive"), (False, 0.19, "refuted"), (True, 0.19, "supported")],
)
def test_a_test_supports_refutes_or_leaves_open(rejected, high, status):
    found = Hypothesis("h", 1, "A claim.", "", evidence=(evidence(0.01, high=high),))
    assert judged(found, rejected, smallest_effect=0.2).status == status


def test_without_a_held_out_test_nothing_is_decided():
    assert judged(Hypothesis("h", 1, "A claim.", ""), True, 0.2).status == "inconclusive"


def test_hypotheses_come_back_from_their_json():
    found = hypothesis("h1.1", 1, 0.02)
    assert hypothesis_of(json.loads(json.dumps(record_of(found)))) == found


def test_prompts_keep_their_side_whatever_else_is_asked():
    names = [asked_prompt(f"prompt {number}").id for number in range(400)]
    held = [is_held_out(name, 0.5) for name in names]
    assert 150 < sum(held) < 250
    assert all(is_held_out(name, 0.7) for name, was in zip(names, held, strict=True) if was)
    prompts = [asked_prompt(f"prompt {number}") for number in range(20)]
    assert in_fair_order(prompts) == in_fair_order(reversed(prompts)) != prompts


RULES = Rules(cycles=9, quiet=3, stable=2, alpha=0.05)


def test_runs_stop_at_their_last_cycle():
    found = [hypothesis(f"h{cycle}", cycle, 0.9, "supported") for cycle in range(1, 10)]
    assert reason_to_stop(found, 9, RULES) == "--cycles 9"
    assert reason_to_stop(found, 8, RULES) is None


def test_runs_stop_when_nothing_new_is_supported():
    found = [hypothesis("h1", 1, 0.9, "supported"), hypothesis("h2", 2, 0.9)]
    assert reason_to_stop(found, 3, RULES) is None
    assert "--quiet-cycles" in (reason_to_stop(found, 4, RULES) or "")
    assert "--quiet-cycles" in (reason_to_stop([], 3, RULES) or "")


def test_runs_stop_when_the_significant_set_is_stable_and_not_before():
    steady = [hypothesis("h1", 1, 1e-6), hypothesis("h2", 2, 0.9), hypothesis("h3", 3, 0.9)]
    assert reason_to_stop(steady, 2, RULES) is None
    assert "--stable-cycles" in (reason_to_stop(steady[:1] + steady[1:], 3, Rules(9, 9, 2, 0.05)) or "")
    moving = [*steady[:2], hypothesis("h3", 3, 1e-6)]
    assert reason_to_stop(moving, 3, Rules(9, 9, 2, 0.05)) is None


def test_adjusted_p_values_count_tested_hypotheses_only():
    found = [hypothesis("a", 1, 0.01), hypothesis("b", 1, 0.04), Hypothesis("c", 1, "A claim.", "")]
    assert adjusted(found) == pytest.approx({"a": 0.02, "b": 0.04})
