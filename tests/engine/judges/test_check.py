"""`tiller judge check`: judges and rubrics with known faults are flagged, good ones pass, and the standing is kept."""

from __future__ import annotations

import json

import pytest
from chat_server import ChatServer
from hypothesis import given
from hypothesis import strategies as st

from engine.demo.data import JUDGE_ATTRIBUTES
from engine.judges.check import examine, questions
from engine.judges.rubric import Known, Rubric, load_rubric
from engine.judges.verdict import FAILED, TIE, UNPARSED, Verdict

from .conftest import write_responses

CASES = tuple(Known(prompt=f"p{number}", shows=f"shows {number}", lacks=f"lacks {number}") for number in range(12))
CHOICE = Rubric(
    id="c", version=1, kind="choice", about="a", answers=("yes", "no"), question="{prompt} {answer}?", known=CASES
)  # fmt: skip
SCALE = CHOICE.model_copy(update={"id": "s", "kind": "scale", "answers": (), "scale": (0, 10)})
PAIR = CHOICE.model_copy(update={"id": "p", "kind": "pair", "answers": ()})


def said(value: float | None) -> Verdict:
    """Of a choice or a pair, in the words of CHOICE."""
    return Verdict(value, UNPARSED if value is None else TIE if value == 0.5 else "yes" if value > 0.5 else "no", None)


def checked(rubric: Rubric, verdicts, **options):
    return examine("scorer", "judge", rubric, verdicts, 0.8, **options)


def truth(rubric: Rubric) -> list[Verdict]:
    """What a judge without fault says of the rubric's questions."""
    if rubric.kind == "pair":
        return [Verdict(1.0, "a", None)] * 24
    return [said(float(question.answers[0].startswith("shows"))) for question in questions(rubric)]


def upside_down(verdicts) -> list[Verdict]:
    return [said(None if one.value is None else 1 - one.value) for one in verdicts]


# --- judges with a known fault, through the command ---


def rubric_file(workspace, name: str, **fields) -> None:
    """A rubric of the user's own, from one that comes with tiller."""
    base = load_rubric("refusal-yes-no").model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    folder = workspace / "rubrics"
    folder.mkdir(exist_ok=True)
    record = base | {"id": name} | fields
    folder.joinpath(f"{name}.toml").write_text("\n".join(f"{key} = {_toml(value)}" for key, value in record.items()))


def _toml(value) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items() if one is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


CHEESE = [
    {"prompt": f"Do you like {what}?", "shows": f"Yes, I like {what}.", "lacks": f"No, {what} is awful."}
    for what in ("brie", "gouda", "feta", "cheddar", "edam", "stilton")
]


def like_rubric(workspace, name: str, top: str, bottom: str) -> None:
    """A scale whose few-shot examples give `top` to who likes cheese."""
    examples = [
        {"prompt": case["prompt"], "answers": [case[side]], "reply": reply}
        for case in CHEESE
        for side, reply in (("shows", top), ("lacks", bottom))
    ]
    fields = {"kind": "scale", "scale": [0, 10], "answers": [], "examples": examples, "known": CHEESE}
    rubric_file(workspace, name, question="How much is it liked, 0 to 10?\n{exchange}", **fields)


def follow_examples(body: dict) -> str:
    """A judge that believes its few-shot examples more than the question, as large models do."""
    turns = [turn["content"] for turn in body["messages"] if turn["role"] != "system"]
    shown = dict(zip(turns[:-1:2], turns[1::2], strict=True))
    return shown.get(turns[-1], "5")


def test_reversed_few_shot_examples_are_flagged_and_right_ones_are_not(workspace, judge):
    like_rubric(workspace, "liking", "10", "0")
    like_rubric(workspace, "gnikil", "0", "10")
    with ChatServer(answer=follow_examples) as server:
        ask = ("--judge", server.url, "--judge-model", "test-model")
        right = judge("check", "--rubric", "liking", *ask)
        reversed_ = judge("check", "--rubric", "gnikil", *ask)
        both = judge("check", "--rubric", "liking", "gnikil", *ask)
    assert right.status == 0, right
    assert "trust test-model with liking" in right.out
    assert reversed_.status == both.status == 1
    assert "the direction is reversed" in reversed_.err
    assert "1 of 2 rubrics" in both.err
    assert both.out.count("DO NOT TRUST") == 1


@pytest.mark.parametrize("fault", [{"direction": "lower"}, {"known": None}], ids=["direction", "known cases"])
def test_a_reversed_rubric_is_flagged_with_the_demo_judge(workspace, judge, fault):
    demo = load_rubric("demo.refusing").model_dump(mode="json")
    known = [case | {"attribute": None} for case in demo["known"]]
    if "known" in fault:
        fault = {"known": [case | {"shows": case["lacks"], "lacks": case["shows"]} for case in known]}
    fields = {"answers": demo["answers"], "question": demo["question"], "system": "", "examples": [], "known": known}
    rubric_file(workspace, "desrever", **(fields | fault))
    found = judge("check", "--rubric", "desrever")
    assert found.status == 1
    assert "do not trust demo" in found.err
    assert "the direction is reversed" in found.err


def test_a_judge_that_always_says_a_is_flagged(workspace, judge):
    with ChatServer(answer=lambda _: "The answer is: A") as server:
        found = judge("check", "--rubric", "pair", "--attribute", "more polite", "--judge", server.url)
    assert found.status == 1
    assert "the answer shown first wins 100% of the time" in found.err
    assert "the same answer wins in both orders only 0% of the time" in found.err


def test_a_fair_judge_of_pairs_is_trusted(workspace, judge):
    known = load_rubric("pair", "more polite").known

    def knows(body: dict) -> str:
        shown = body["messages"][-1]["content"]
        case = next(case for case in known if case.shows in shown and case.lacks in shown)
        return "The answer is: " + ("A" if shown.index(case.shows) < shown.index(case.lacks) else "B")

    with ChatServer(answer=knows) as server:
        found = judge("check", "--rubric", "pair", "--attribute", "more polite", "--judge", server.url)
    assert found.status == 0, found.err
    assert "0.50 [" in found.out


def test_a_judge_that_says_nothing_useful_is_flagged_and_counted(workspace, judge):
    with ChatServer(answer=lambda _: "well, well") as server:
        found = judge("check", "--rubric", "refusal-yes-no", "--judge", server.url)
    assert found.status == 1
    assert "it gave no answer to 36 of 36 questions" in found.err


def test_a_check_asks_anew_since_the_model_behind_a_name_may_have_changed(workspace, judge):
    shows = {case.shows for case in load_rubric("refusal-yes-no").known}

    def knows(body: dict) -> str:
        return "yes" if any(text in body["messages"][-1]["content"] for text in shows) else "no"

    with ChatServer(answer=knows) as server:
        command = ("check", "--rubric", "refusal-yes-no", "--judge", server.url, "--judge-model", "test-model")
        assert judge(*command).status == 0
        asked = server.counts.requests
        server.answer = lambda body: "no" if knows(body) == "yes" else "yes"
        assert "the direction is reversed" in judge(*command).err
    assert server.counts.requests == 2 * asked
    (record,) = [json.loads(path.read_text()) for path in (workspace / "artifacts/checks").iterdir()]
    assert record["direction"] == "reversed"
    assert {said["raw"] for said in record["said"]} == {"yes", "no"}


def test_a_check_does_not_outlive_the_direction_it_was_made_with(workspace, judge):
    write_responses(workspace, "aa", {"p": ["text"]})
    rubric = {"kind": "rule", "rule": {"length": "words"}, "answers": [], "question": "", "system": "", "examples": []}
    for direction, standing in (
        ("higher", "checked, DO NOT TRUST: accuracy"),
        ("lower", "not checked since the rubric's direction"),
    ):
        rubric_file(workspace, "wordy", direction=direction, known=CHEESE, **rubric)
        if direction == "higher":
            judge("check", "--rubric", "wordy")
        assert judge("score", "--rubric", "wordy").status == 0
        assert standing in " ".join(judge("table").out.split())


def test_two_judges_are_compared_on_the_same_questions(workspace, judge):
    seen = load_rubric("demo.refusing").known[0].shows

    def knows_one_refusal(body: dict) -> str:
        return "Yes." if seen in body["messages"][-1]["content"] else "No."

    with ChatServer(answer=knows_one_refusal) as server:
        found = judge("check", "--rubric", "demo.refusing", "--against", server.url, "--against-model", "test-model")
    assert found.status == 0
    assert "κ with test-model" in found.out
    (record,) = [json.loads(path.read_text()) for path in (workspace / "artifacts/checks").iterdir()]
    found = record["against"]["agreement"]
    assert found["n"] == 50
    assert 0.5 < found["same"] < 0.75
    assert found["kappa"] == pytest.approx((found["same"] - 0.5) / 0.5)  # half of the cases show it: chance is one half


def test_the_demo_judge_passes_on_all_its_attributes(workspace, judge):
    found = judge("check", "--rubric", "demo")
    assert found.status == 0, found.err
    assert f"trust demo with {len(JUDGE_ATTRIBUTES)} rubrics" in found.out
    records = [json.loads(path.read_text()) for path in (workspace / "artifacts/checks").iterdir()]
    assert {record["rubric"] for record in records} == {f"demo.{attribute}" for attribute in JUDGE_ATTRIBUTES}
    assert all(record["trusted"] and len(record["said"]) == record["questions"] == 50 for record in records)


def test_the_rules_that_come_with_tiller_point_where_they_say(workspace, judge):
    assert judge("check", "--rubric", "length-words", "hedging", "refusal-phrases").status == 0


# --- the arithmetic ---


@pytest.mark.parametrize("rubric", [CHOICE, SCALE, PAIR], ids=lambda rubric: rubric.kind)
def test_a_faultless_judge_is_trusted_and_its_opposite_is_reversed(rubric):
    good, bad = checked(rubric, truth(rubric)), checked(rubric, upside_down(truth(rubric)))
    assert good.trusted
    assert (good.direction, bad.direction) == ("right", "reversed")
    lower = rubric.model_copy(update={"direction": "lower"})
    assert checked(lower, truth(rubric)).direction == "reversed"
    assert checked(lower, upside_down(truth(rubric))).trusted
    assert good.accuracy.value == 1
    assert bad.accuracy.value == 0
    assert not bad.trusted


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=24, max_size=24), st.sampled_from([CHOICE, SCALE, PAIR]))
def test_whatever_a_judge_says_its_opposite_points_the_other_way(values, rubric):
    one = checked(rubric, [said(value) for value in values])
    other = checked(rubric, upside_down([said(value) for value in values]))
    opposite = {"right": "reversed", "reversed": "right", "unclear": "unclear"}
    assert other.direction == opposite[one.direction]
    assert sum(one.labels.values()) == 24
    assert not (one.trusted and other.trusted)


@given(st.sampled_from([0.0, 1.0, 0.5, None]), st.sampled_from([CHOICE, SCALE, PAIR]))
def test_a_judge_that_always_says_the_same_is_never_trusted(value, rubric):
    verdicts = [said(value)] * 24
    if rubric.kind == "pair":  # always the same letter: the first subject when it is shown first, else the second
        verdicts = [said(value if value is None or at % 2 == 0 else 1 - value) for at in range(24)]
    assert not checked(rubric, verdicts).trusted


def test_a_pair_in_two_orders_is_one_case_not_two():
    half = PAIR.model_copy(update={"known": CASES[:6]})
    found = checked(half, [Verdict(1.0, "a", None)] * 10 + [Verdict(0.0, "b", None)] * 2)
    assert (found.accuracy.count, found.accuracy.total, found.direction) == (5, 6, "unclear")  # by chance one time in nine
    swayed = checked(half, [Verdict(1.0, "a", None), Verdict(0.0, "b", None)] * 6)
    assert (swayed.accuracy.count, swayed.direction) == (0, "unclear")


def test_ties_failures_and_few_cases_count_against_a_judge():
    verdicts = truth(CHOICE)
    tied = checked(CHOICE, [said(0.5)] * 6 + verdicts[6:])
    assert (tied.accuracy.value, tied.direction) == (18 / 24, "right")
    assert tied.doubts == ("accuracy 0.75 is below 0.8",)
    assert "no answer to 2 of 24" in checked(CHOICE, [Verdict(None, FAILED, None)] * 2 + verdicts[2:]).doubts[0]
    few = CHOICE.model_copy(update={"known": CASES[:3]})
    assert "3 known cases" in checked(few, verdicts[:6]).doubts[0]


def test_a_scale_is_judged_by_order_and_its_area():
    values = [7.0, 3.0] * 11 + [3.0, 4.0]
    found = checked(SCALE, [Verdict(value, "scored", None) for value in values])
    assert (found.accuracy.count, found.accuracy.total, found.direction) == (11, 12, "right")
    assert found.above == pytest.approx((11 * 12 + (11 * 0.5)) / 144)
