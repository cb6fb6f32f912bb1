"""`tiller judge table`: means of what was judged, exactly, with everything that is no answer beside them."""

from __future__ import annotations

import re

import pytest

from engine.judges.judge import Judge, RuleBackend
from engine.judges.rubric import Rubric, load_rubric
from engine.judges.scoring import score, singles
from engine.judges.summary import Scorer, observed, recorded_scorers, rows
from engine.judges.verdict import FAILED, TIE, UNPARSED
from engine.statistics import bootstrap, mean_of
from engine.store import Score, Segment, append_records, scores_folder
from engine.workspace import Workspace

from .conftest import score_lines, write_responses

CHOICE = Rubric(id="c", version=1, kind="choice", about="a", answers=("Low", "Middle", "High"), question="{answer}")
SCALE = CHOICE.model_copy(update={"id": "s", "kind": "scale", "answers": (), "scale": (0, 10)})
PAIR = CHOICE.model_copy(update={"id": "p", "kind": "pair", "answers": ()})


def write_scores(root, answers, labelled, order=None) -> None:
    """labelled: (label, value) of each answer, or of each tuple of answers."""
    workspace = Workspace(root)
    with Segment(scores_folder(workspace, "scorer"), "test") as segment:
        for judged, (label, value) in zip(answers, labelled, strict=True):
            both = judged if isinstance(judged, tuple) else (judged,)
            ids, hashes = tuple(one.id for one in both), tuple(one.text_sha256 for one in both)
            append_records(segment, [Score(ids, hashes, order, value, label, None, "scorer")])


def row_of(root, rubric):
    (row,) = rows(Workspace(root), {"scorer": Scorer("judge", rubric)}, [])
    return row


def test_a_share_counts_the_first_answer_and_half_a_tie_by_prompt(workspace):
    answers = write_responses(workspace, "aa", {"p": ["1", "2"], "q": ["3", "4", "5", "6"]})
    given = [("low", 0.4), ("high", 0.3), ("low", 0.9), (TIE, 0.5), (UNPARSED, None), (FAILED, None)]
    write_scores(workspace, answers, given)
    row = row_of(workspace, CHOICE)
    assert row.mean is not None
    assert row.mean.mean == pytest.approx((1 / 2 + 1.5 / 2) / 2)
    assert (row.mean.units, row.mean.observations) == (2, 4)
    assert row.labels == {"low": 2, "high": 1, TIE: 1, UNPARSED: 1, FAILED: 1}
    assert row.leaves_out_much


def test_a_scale_is_the_mean_of_its_values(workspace):
    answers = write_responses(workspace, "aa", {"p": ["1"], "q": ["2"]})
    write_scores(workspace, answers, [("scored", 3.0), ("scored", 8.0)])
    row = row_of(workspace, SCALE)
    assert row.mean is not None
    assert row.mean.mean == 5.5
    assert not row.leaves_out_much


def test_pairs_tell_the_win_rate_of_the_first_cell_and_whether_order_mattered(workspace):
    first = write_responses(workspace, "aa", {"p": ["1"], "q": ["2"]})
    second = write_responses(workspace, "bb", {"p": ["3"], "q": ["4"]})
    both = list(zip(first, second, strict=True))
    write_scores(workspace, both, [("a", 1.0), ("a", 1.0)], order="ab")
    write_scores(workspace, both, [("a", 1.0), ("b", 0.0)], order="ba")
    row = row_of(workspace, PAIR)
    assert row.cells == ("aa", "bb")
    both_names = (["aa"], ["bb"], ["b", "a"], ["zz"])
    assert [len(rows(Workspace(workspace), {"scorer": Scorer("judge", PAIR)}, names)) for names in both_names] == [1, 1, 1, 0]
    assert row.mean is not None
    assert row.mean.mean == 0.75
    assert row.consistency is not None
    assert row.consistency.value == 0.5


def test_a_score_of_a_text_that_was_replaced_is_left_out(workspace):
    answers = write_responses(workspace, "aa", {"p": ["old"]})
    write_scores(workspace, answers, [("low", 1.0)])
    write_responses(workspace, "aa", {"p": ["new"]})
    assert rows(Workspace(workspace), {"scorer": Scorer("judge", CHOICE)}, []) == []


def test_two_tasks_that_score_the_same_at_once_count_each_response_once(workspace, judge):
    rubric = load_rubric("length-words")
    targets = singles(write_responses(workspace, "aa", {"p": ["a b", "c"], "q": ["d"]}))

    class SlowerThanAnother(RuleBackend):
        """While it judges, another task judges the same, from beginning to end."""

        def verdicts(self, rubric, subjects):
            score(Workspace(workspace), Judge(RuleBackend(), rubric), targets, (), "the other task")
            return super().verdicts(rubric, subjects)

    twice = [*targets, *targets]  # as a sweep that names a multiplier twice would
    outcome = score(Workspace(workspace), Judge(SlowerThanAnother(), rubric), twice, (), "this task")
    assert outcome.labels == {"scored": 3}
    assert len(score_lines(workspace)) == 6
    (row,) = rows(Workspace(workspace), recorded_scorers(Workspace(workspace)), [])
    assert row.labels == {"scored": 3}
    assert row.mean is not None
    assert (row.mean.units, row.mean.observations, row.mean.mean) == (2, 3, 1.25)
    assert "already there, 3 answers" in judge("score", "--rubric", "length-words").out


def test_a_failed_judgement_that_was_repeated_counts_once(workspace):
    answers = write_responses(workspace, "aa", {"p": ["1"]})
    write_scores(workspace, answers, [(FAILED, None)])
    write_scores(workspace, answers, [("low", 1.0)])
    assert row_of(workspace, CHOICE).labels == {"low": 1}


def test_what_one_judgement_counts_for():
    def one(label, value, rubric):
        return observed(Score(("i",), ("t",), None, value, label, None, "s"), rubric)

    assert one("low", 0.4, CHOICE) == 1
    assert one("middle", 0.1, CHOICE) == 0
    assert one(TIE, 0.45, CHOICE) == 0.5
    assert one(UNPARSED, None, CHOICE) is None
    assert one("scored", 7.25, SCALE) == 7.25
    assert one("b", 0.2, PAIR) == 0


def test_a_mean_draws_prompts_again_not_samples():
    units = {"p": [0.0] * 50, "q": [1.0] * 2, "r": [1.0]}
    found = mean_of(units)
    assert found.mean == pytest.approx(2 / 3)
    assert (found.low, found.high) == bootstrap([0.0, 1.0, 1.0])
    assert (found.units, found.observations) == (3, 53)


def test_an_interval_does_not_depend_on_the_order_of_the_records():
    units = {f"p{number}": [number**2 % 7 / 7] for number in range(30)}
    assert mean_of(units) == mean_of(dict(reversed(units.items())))


@pytest.mark.parametrize(("every", "low", "high"), [(0.0, 0, 0.2775), (1.0, 0.7225, 1)])
def test_answers_that_are_all_alike_are_no_proof_that_every_answer_is(every, low, high):
    units = {f"p{number}": [every] * 3 for number in range(10)}
    found = mean_of(units, share=True)
    assert (found.mean, found.low, found.high) == pytest.approx((every, low, high), abs=1e-4)
    assert (mean_of(units).low, mean_of(units).high) == (every, every)  # of a mean on a scale nothing of the kind is known


def test_the_printed_table_has_sweeps_in_order_counts_and_the_judges_standing(workspace, judge):
    for key, multiplier in (("bb", -1.0), ("cc", 0.0), ("aa", 1.0)):
        write_responses(workspace, key, {"p": ["a b", "c"], "q": ["d"]}, behavior="happy", layer=[2], multipliers=[multiplier])
    assert judge("score", "--rubric", "length-words").status == 0
    table = judge("table").out
    assert re.findall(r"^(\w\w) × ([-+]\d)", table, re.MULTILINE) == [("bb", "-1"), ("cc", "+0"), ("aa", "+1")]
    assert "mean of the rule's values; happy, layer 2\n" in table
    assert max(map(len, table.splitlines())) <= 80
    assert "1.25 [1.00–1.50]" in table
    assert "not checked; run `tiller judge check --rubric length-words`" in table
    assert judge("check", "--rubric", "length-words").status == 0
    assert "checked: accuracy 1.00 (n = 1), direction right" in judge("table").out
    assert "3 rows by 1 scorer" in judge("table").out
    assert "1 row by 1 scorer" in judge("table", "aa").out
