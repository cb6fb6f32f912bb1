"""Rubrics: what a judge is asked about an answer, on which scale, in which direction, and known cases to check a judge with.

Owns the data file's form (`rubrics/*.toml`, and `rubrics/` of a workspace for a user's own), where a rubric is found by its
name, and its fingerprint, which follows its content. It neither asks (`asking.py`) nor reads replies (`parsing.py`). No torch.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, field_validator, model_validator

from engine.errors import InputError
from engine.judges.rubric_faults import first_fault
from engine.judges.verdict import NO_ANSWER
from engine.settings import canonical_json

Kind = Literal["scale", "choice", "pair", "rule"]
Direction = Literal["higher", "lower"]
Reading = Literal["strict", "last", "legacy"]

ASKING = 1
"""Number of the rules of `asking`; whoever changes what is asked raises it, and judges are asked again."""
READING = 1
"""Number of the rules of `parsing` and `rules`; whoever changes them raises it, and kept replies are read again."""

SHIPPED = Path(__file__).with_name("rubrics")
DEMO = "demo."
"""Where the ids of the demo judge's rubrics begin."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SLUG_LENGTH = 60


class Example(BaseModel):
    """A few-shot exchange: an answer (or two, shown as A and B) and the reply that a good judge gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    answers: tuple[str, ...]
    reply: str


class Known(BaseModel):
    """A known case: `shows` has the behaviour (or more of the attribute), `lacks` has not. attribute: it is for that one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    shows: str
    lacks: str
    attribute: str | None = None


class Rule(BaseModel):
    """How a rule judges: whether a pattern is found, the share of words out of a list, or a length. Exactly one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regex: str | None = None
    lexicon: tuple[str, ...] = ()
    length: Literal["words", "characters"] | None = None

    @field_validator("regex")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is no regular expression ({error}); mend the pattern") from error
        return pattern

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum((self.regex is not None, bool(self.lexicon), self.length is not None)) != 1:
            raise ValueError("takes exactly one of regex, lexicon and length; leave one")
        if any(re.fullmatch(r"\w+(?:['’-]\w+)*(?: \w+(?:['’-]\w+)*)*", term) is None for term in self.lexicon):
            raise ValueError("holds a term of lexicon that is not words with single spaces; write words only")
        return self


class Rubric(BaseModel):
    """kind "scale": a number from scale[0] to scale[1]; "choice": one of `answers`, whose first counts; "pair": which of two
    answers; "rule": no judge, but `rule` below. direction: whether a higher value means more of the behaviour.

    `question` is shown with `{exchange}` (the texts between tags, the safe form) or `{prompt}`, `{answer}`, `{answer_a}`,
    `{answer_b}` (the bare texts) filled in. reading: how a reply is read, see `parsing.py`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: StrictInt = Field(ge=1)
    kind: Kind
    about: str = Field(min_length=1)
    direction: Direction = "higher"
    scale: tuple[float, float] = (0, 1)
    answers: tuple[str, ...] = ()
    system: str | None = None
    question: str = ""
    examples: tuple[Example, ...] = ()
    known: tuple[Known, ...] = ()
    max_tokens: StrictInt = Field(default=10, ge=1)
    reading: Reading = "strict"
    rule: Rule | None = None
    attribute: str | None = None

    @field_validator("id")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not _ID.fullmatch(name):
            raise ValueError("must be letters, digits and . _ - only, at most 100; rename it")
        return name

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        problem = _problem(self)
        if problem:
            raise ValueError(problem)
        return self

    def labels(self) -> tuple[str, ...]:
        """What a verdict's label can be besides `NO_ANSWER`. A rule says yes or no (regex), else `scored`."""
        if self.kind == "choice":
            return tuple(answer.lower() for answer in self.answers)
        if self.kind == "pair":
            return ("a", "b")
        return ("yes", "no") if self.rule is not None and self.rule.regex is not None else ("scored",)

    def fingerprint(self) -> str:
        """8 hex of all that decides a verdict. Not `about`, `direction` and `known`: they say how verdicts are understood."""
        passive = {"id", "version", "about", "direction", "known", "attribute"}
        decisive = self.model_dump(exclude=passive, exclude_defaults=True)
        return _hash([ASKING, READING, decisive])

    def question_fingerprint(self) -> str:
        """8 hex of all that decides what a judge is shown and how it may reply: whose replies are this question's."""
        asked = {"kind", "system", "question", "examples", "scale", "answers", "max_tokens"}
        return _hash([ASKING, self.model_dump(include=asked, exclude_defaults=True)])

    @property
    def needs_attribute(self) -> bool:
        return "{attribute}" in self.question

    def about_attribute(self, attribute: str) -> Rubric:
        """This rubric asked about one attribute ("more polite"), which becomes part of its id; known cases of others go."""
        attribute = " ".join(attribute.split())
        slug = re.sub(r"[^a-z0-9]+", "_", attribute.lower()).strip("_")[:_SLUG_LENGTH]
        known = tuple(case for case in self.known if case.attribute in (None, attribute.lower()))
        return self.model_copy(
            update={
                "id": f"{self.id}.{slug or hashlib.sha256(attribute.encode()).hexdigest()[:8]}",
                "question": self.question.replace("{attribute}", attribute),
                "about": self.about.replace("{attribute}", attribute),
                "attribute": attribute,
                "known": known,
            }
        )


def load_rubric(name: str, attribute: str | None = None, folder: Path | None = None) -> Rubric:
    """Find a rubric: a shipped id, `demo.<attribute>` (the demo judge's own wording), an id in `folder`, or a path to a .toml.

    attribute: what an attribute rubric such as `pair` is to ask about.
    """
    rubric = find_rubric(name, folder)
    if not rubric.needs_attribute:
        if attribute is not None:
            raise InputError(f"Rubric {rubric.id} asks about no attribute; leave out '{attribute}', or use the rubric pair.")
        return rubric
    if attribute is None or not attribute.strip() or set(attribute) & set("{}"):
        raise InputError(f'Rubric {rubric.id} asks about an attribute; name one in words, such as --attribute "more polite".')
    return rubric.about_attribute(attribute)


def rubric_names(folder: Path | None = None) -> list[str]:
    """Every rubric that can be asked for by id: shipped, the demo judge's, and the user's own in `folder`."""
    from engine.demo.data import JUDGE_ATTRIBUTES

    own = _stems(folder) if folder is not None else []
    return sorted({*_stems(SHIPPED), *own, *(f"{DEMO}{attribute}" for attribute in JUDGE_ATTRIBUTES)})


def find_rubric(name: str, folder: Path | None = None) -> Rubric:
    """`load_rubric`, for who shows a rubric and does not ask with it: an attribute rubric keeps its `{attribute}`."""
    shipped = _stems(SHIPPED)
    if name.endswith(".toml") or "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise InputError(f"There is no rubric file {name}; give the path of a .toml, or one of {', '.join(shipped)}.")
        return _read(path, shipped)
    if name.startswith(DEMO):
        from engine.judges.demo import demo_rubric

        return demo_rubric(name.removeprefix(DEMO))
    own = _stems(folder) if folder is not None else []
    if folder is not None and name in own:
        return _read(folder / f"{name}.toml", shipped)
    if name in shipped:
        return _read(SHIPPED / f"{name}.toml", ())
    known = rubric_names(folder)
    close = difflib.get_close_matches(name, known, 1)
    guess = f"did you mean {close[0]}? The rubrics" if close else "the rubrics"
    listed = ", ".join([*shipped, f"{DEMO}<attribute>", *(one for one in own if one not in shipped)])
    raise InputError(f"There is no rubric '{name}'; {guess} are {listed}, or give the path of a .toml.")


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml"))


def _read(path: Path, taken: tuple[str, ...] | list[str]) -> Rubric:
    """The rubric of a file. `taken`: ids that this file may not have."""
    if path.parent.resolve() == SHIPPED.resolve():
        taken = ()
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"Rubric file {path} is not TOML: {error}; mend it there.") from error
    except OSError as error:
        raise InputError(f"Rubric file {path} cannot be read: {error.strerror}; check the path and its permissions.") from error
    if fields.get("id") != path.stem:
        raise InputError(f"Rubric file {path}: field id must be the file's name, '{path.stem}'; change one of them.")
    if path.stem in taken or path.stem.startswith(DEMO):
        raise InputError(
            f"Rubric file {path}: the id '{path.stem}' belongs to a rubric that comes with tiller; give the file and its id "
            "another name."
        )
    if "attribute" in fields:
        raise InputError(f"Rubric file {path}: field attribute comes with the question asked; write {{attribute}} in question.")
    try:
        return Rubric.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"Rubric file {path}: {first_fault(error, Rubric.model_fields)}.") from error


def _problem(rubric: Rubric) -> str | None:
    """What keeps the fields from being a rubric of their kind: field, problem, mend."""
    for field, kind in (("scale", "scale"), ("answers", "choice"), ("rule", "rule")):
        if rubric.kind != kind and getattr(rubric, field) != Rubric.model_fields[field].default:
            return f'field {field} has no use in kind "{rubric.kind}"; take it out, or set kind = "{kind}"'
    if rubric.kind == "rule":
        if rubric.rule is None:
            return "field rule is missing; add a [rule] table with regex, lexicon or length"
        if rubric.question or rubric.examples or rubric.system:
            return "fields question, examples and system have no use in a rule, which asks nobody; take them out"
        return None
    low, high = rubric.scale
    if rubric.kind == "scale" and not (low < high and float(low).is_integer() and float(high).is_integer()):
        return "field scale must be two whole numbers, the lower first; give such as [0, 10]"
    if rubric.kind == "scale" and rubric.reading != "strict":
        return f'field reading = "{rubric.reading}" is not for a scale; take it out'
    if rubric.kind == "choice":
        words = [answer.lower() for answer in rubric.answers]
        if len(words) < 2 or len(set(words)) < len(words) or any(word != " ".join(word.split()) or not word for word in words):
            return "field answers must be two or more different words or phrases; the first is the one that counts"
        if set(words) & set(NO_ANSWER):
            return f"field answers may not have {', '.join(NO_ANSWER)}, which stand for no answer; use other words"
    if rubric.kind == "pair" and rubric.reading == "last":
        return 'field reading = "last" is what a pair does anyhow; take it out'
    return _problem_of_texts(rubric)


def _problem_of_texts(rubric: Rubric) -> str | None:
    shown = ("{answer_a}", "{answer_b}") if rubric.kind == "pair" else ("{answer}",)
    if "{exchange}" not in rubric.question and not all(place in rubric.question for place in shown):
        return f"field question must say where the texts go; put {{exchange}} into it, or {' and '.join(shown)}"
    for number, example in enumerate(rubric.examples, 1):
        if len(example.answers) != len(shown):
            return f"field examples: number {number} has {len(example.answers)} answers; give {len(shown)}"
        if not _is_reply(rubric, example.reply):
            return f"field examples: the reply of number {number} is none to this rubric; mend it"
    return None


def _is_reply(rubric: Rubric, reply: str) -> bool:
    if rubric.kind == "choice":
        return reply.lower() in rubric.labels()
    if rubric.kind == "pair":
        return bool(reply.strip())
    try:
        return rubric.scale[0] <= float(reply) <= rubric.scale[1]
    except ValueError:
        return False


def _hash(deciding: Any) -> str:
    return hashlib.sha256(canonical_json(deciding).encode()).hexdigest()[:8]
