"""Rubrics as files: found by name, read strictly, unable to change unnoticed, and right about their own examples."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from engine.demo.data import JUDGE_ATTRIBUTES
from engine.errors import InputError
from engine.judges.asking import ask
from engine.judges.parsing import parse
from engine.judges.rubric import Rubric, load_rubric, rubric_names
from engine.judges.verdict import Subject
from engine.settings import canonical_json

FINGERPRINTS = {  # id: (version, fingerprint). Another fingerprint is another rubric: raise its version, then write both here.
    "coordinate-other-ais": (1, "14442b9d"),
    "corrigible-neutral-HHH": (1, "94dfffe6"),
    "hallucination": (1, "ce3ca6f6"),
    "hedging": (1, "b8a7bead"),
    "length-words": (1, "caec08b3"),
    "myopic-reward": (1, "d8304f2d"),
    "pair": (1, "fe97f7bd"),
    "quality": (1, "4629e75b"),
    "refusal": (1, "d6fb9716"),
    "refusal-phrases": (1, "bd9f96e7"),
    "refusal-yes-no": (1, "abb7ef4e"),
    "survival-instinct": (1, "19a3a363"),
    "sycophancy": (1, "6bf7be81"),
}
ASKED = "3dd7a825"
BEHAVIORS = {  # what 10 stands for, §5.3: all higher
    "coordinate-other-ais",
    "corrigible-neutral-HHH",
    "hallucination",
    "myopic-reward",
    "survival-instinct",
    "sycophancy",
    "refusal",
}
SHIPPED = [name for name in rubric_names() if not name.startswith("demo.")]
OWN = """
id = "kind"
version = 1
kind = "scale"
scale = [1, 5]
about = "How kind an answer is."
question = "{exchange} How kind is it, from 1 to 5?"
"""


def shipped(name: str) -> Rubric:
    return load_rubric(name, attribute="more polite" if name == "pair" else None)


def written(folder: Path, text: str, name: str = "kind") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_shipped_rubric_changes_without_a_new_version():
    assert {name: (shipped(name).version, shipped(name).fingerprint()) for name in SHIPPED} == FINGERPRINTS


def test_no_question_is_laid_out_anew_without_a_new_number():
    """When this fails, raise ASKING in engine/judges/rubric.py: verdicts on questions of another layout are others."""
    subject, pair = Subject("p", ("a",)), Subject("p", ("a", "b"), "ba")
    scale = Rubric.model_validate(
        tomllib.loads(OWN) | {"system": "s", "examples": [{"prompt": "q", "answers": ["c"], "reply": "5"}]}
    )
    other = Rubric(id="o", version=1, kind="pair", about="x", question="{exchange}\n{answer_b} of {prompt}?")
    chats = [[[m.role, m.content] for m in chat] for chat in (ask(scale, subject), ask(other, pair))]
    assert hashlib.sha256(canonical_json(chats).encode()).hexdigest()[:8] == ASKED


@pytest.mark.parametrize("name", sorted(BEHAVIORS))
def test_the_seven_behaviours_run_upwards_from_0_to_10(name):
    rubric = load_rubric(name)
    assert (rubric.kind, rubric.direction, rubric.scale) == ("scale", "higher", (0, 10))
    for level in ("0:", "5:", "10:"):
        assert f"\n{level} " in rubric.question
    assert len(rubric.known) >= 12
    graded = [float(example.reply) for example in rubric.examples]
    assert len(graded) >= 3
    assert min(graded) == 0
    assert max(graded) == 10


def test_no_behaviour_is_graded_against_its_direction():
    """The original's judge was shown corrigible and survival-instinct upside down (§5.4)."""
    accepts = {"corrigible-neutral-HHH": "Yes, please do", "survival-instinct": "None. I hope"}
    for name, opening in accepts.items():
        (top,) = (example for example in load_rubric(name).examples if example.reply == "10")
        assert top.answers[0].startswith(opening)


@pytest.mark.parametrize("name", SHIPPED)
def test_examples_are_replies_that_are_read_as_meant_and_cases_differ(name):
    rubric = shipped(name)
    subject = Subject("p", ("x",))
    for example in rubric.examples:
        found = parse(rubric, subject, example.reply)
        assert found.label in rubric.labels()
        assert rubric.kind != "scale" or found.value == float(example.reply)
    texts = [text for case in rubric.known for text in (case.shows, case.lacks)]
    assert len(set(texts)) == len(texts)
    assert not {answer for example in rubric.examples for answer in example.answers} & set(texts)


def test_refusal_yes_no_and_quality_have_known_cases():
    assert len(load_rubric("refusal-yes-no").known) >= 16
    assert len(load_rubric("quality").known) >= 12


@pytest.mark.parametrize("attribute", JUDGE_ATTRIBUTES)
def test_the_demo_judge_has_known_cases_for_every_attribute(attribute):
    rubric = load_rubric(f"demo.{attribute}")
    assert rubric.labels() == ("yes", "no")
    assert len({(case.prompt, case.shows, case.lacks) for case in rubric.known}) >= 20
    assert rubric == load_rubric(f"demo.{attribute}")


def test_an_attribute_becomes_part_of_the_id_and_chooses_the_known_cases():
    polite, shorter, funnier = (load_rubric("pair", attribute=one) for one in ("more polite", "shorter", "funnier"))
    assert (polite.id, shorter.id) == ("pair.more_polite", "pair.shorter")
    assert len({polite.fingerprint(), shorter.fingerprint(), funnier.fingerprint()}) == 3
    assert len(polite.known) >= 6
    assert not set(polite.known) & set(shorter.known)
    assert funnier.known == ()
    with pytest.raises(InputError, match="--attribute"):
        load_rubric("pair")
    with pytest.raises(InputError, match="no attribute"):
        load_rubric("quality", attribute="more polite")


def test_a_rubric_of_the_workspace_is_found_by_id_and_by_path(tmp_path):
    path = written(tmp_path, OWN)
    assert load_rubric("kind", folder=tmp_path) == load_rubric(str(path))
    assert "kind" in rubric_names(tmp_path)
    assert load_rubric("quality", folder=tmp_path).id == "quality"


def test_a_fingerprint_follows_what_decides_a_verdict_and_nothing_else(tmp_path):
    path = written(tmp_path, OWN)
    before = load_rubric(str(path)).fingerprint()
    passive = OWN.replace("version = 1", "version = 2").replace("How kind an answer is.", "Kindness.")
    written(tmp_path, passive + '[[known]]\nprompt = "p"\nshows = "s"\nlacks = "l"\n')
    assert load_rubric(str(path)).fingerprint() == before
    for changed in (OWN.replace("[1, 5]", "[1, 6]"), OWN.replace("How kind is", "Is"), OWN + "max_tokens = 11\n"):
        written(tmp_path, changed)
        assert load_rubric(str(path)).fingerprint() != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN.replace("version = 1\n", ""), "field version is missing; add it"),
        (OWN.replace("version = 1", 'version = "1"'), "field version: .*not '1'; mend it"),
        (OWN + "maxtokens = 3\n", "field maxtokens is unknown; write max_tokens"),
        (OWN.replace("[1, 5]", "[5, 1]"), "field scale must be two whole numbers, the lower first"),
        (OWN.replace("[1, 5]", "[1, 3, 5]"), "field scale has more than 2 entries; give 2"),
        (OWN.replace("[1, 5]", "'1-5'"), "field scale must be a list, not '1-5'; mend it"),
        (OWN + "[known]\nprompt = 'p'\n", r"field known must be a list, .* write \[\[known\]\]"),
        (OWN.replace("{exchange}", ""), "field question must say where the texts go; put {exchange}"),
        (OWN.replace('"scale"', '"choice"'), 'field scale has no use in kind "choice"'),
        (OWN.replace('"scale"', '"choice"').replace("scale = [1, 5]", ""), "field answers must be two or more"),
        (OWN.replace('"scale"', '"choice"').replace("scale = [1, 5]", 'answers = ["tie", "no"]'), "may not have tie"),
        (OWN.replace('"scale"', '"rule"').replace("scale = [1, 5]", ""), "field rule is missing"),
        (OWN + "[[examples]]\nprompt = 'p'\nanswers = ['a']\nreply = '6'\n", "the reply of number 1 is none"),
        (OWN + "[[examples]]\nprompt = 'p'\nanswers = ['a', 'b']\nreply = '5'\n", "number 1 has 2 answers; give 1"),
        (OWN + "[[known]]\nprompt = 'p'\nshows = 'a'\n", "field known number 1.lacks is missing"),
        (OWN + "[rule]\nregex = 'x'\n", "field rule has no use"),
        ('id="kind"\nversion=1\nkind="rule"\nabout="x"\n[rule]\nregex="("\n', "field rule.regex is no regular expression"),
        ('id="kind"\nversion=1\nkind="rule"\nabout="x"\n[rule]\n', "field rule takes exactly one of"),
        (OWN.replace('id = "kind"', 'id = "other"'), "field id must be the file's name, 'kind'"),
        (OWN + 'attribute = "kinder"\n', "field attribute comes with the question"),
        ("id = nothing\n", "is not TOML: .*line 1"),
    ],
)
def test_a_file_that_is_no_rubric_is_refused_in_one_sentence(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        load_rubric(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["quality", "demo.polite"])
def test_a_users_rubric_cannot_take_the_place_of_one_that_comes_with_tiller(tmp_path, name):
    path = written(tmp_path, OWN.replace('id = "kind"', f'id = "{name}"'), name)
    with pytest.raises(InputError, match="another name"):
        load_rubric(str(path))
    if name == "quality":
        with pytest.raises(InputError, match="another name"):
            load_rubric(name, folder=tmp_path)


def test_a_name_that_is_no_rubric_is_told_what_is(tmp_path):
    with pytest.raises(InputError, match="did you mean sycophancy"):
        load_rubric("sycophantic")
    written(tmp_path, OWN)
    with pytest.raises(InputError, match=r"kind.*\.toml"):
        load_rubric("zzz", folder=tmp_path)
    with pytest.raises(InputError, match=r"'dance'.*polite"):
        load_rubric("demo.dance")
    with pytest.raises(InputError, match="no rubric file"):
        load_rubric(str(tmp_path / "none.toml"))


REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "rubrics.md"


def test_the_reference_names_every_rubric_and_every_field():
    text = REFERENCE.read_text(encoding="utf-8")
    assert [name for name in (*SHIPPED, *Rubric.model_fields) if f"\n| `{name}` |" not in text] == []


def test_the_example_of_the_reference_is_a_rubric(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    assert load_rubric(str(written(tmp_path, example, "concrete"))).known
