"""The generated references are current, and tell every option of every step once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.cd.cli import STEPS as CD
from engine.command_line import Steps
from engine.reference import reference
from engine.steering.cli import STEPS as STEER

PAGES = Path(__file__).parents[2] / "docs" / "reference"

verbs = pytest.mark.parametrize(("verb", "steps"), [("steer", STEER), ("cd", CD)])


@verbs
def test_the_reference_is_current(verb: str, steps: Steps):
    page = PAGES / f"{verb}.md"
    assert page.read_text(encoding="utf-8") == reference(verb, steps), (
        f"run `python -m engine.reference {verb} > docs/reference/{verb}.md`"
    )


@verbs
def test_every_option_of_every_step_stands_in_its_section_or_in_one_that_it_names(verb: str, steps: Steps):
    """Against the settings classes themselves, not against how the page is made."""
    sections = dict(re.findall(r"^##+ (.+?)\n(.*?)(?=^##+ |\Z)", reference(verb, steps), re.MULTILINE | re.DOTALL))
    for name, (settings, _) in steps.items():
        own = sections[f"`tiller {verb} {name}`"]
        shared = [sections[title] for title in re.findall(r"\[([a-z ]+)\]\(#", own)]
        told = set(re.findall(r"^\| `(?:--)?([\w-]+)` \|", "\n".join([own, *shared]), re.MULTILINE))
        options = {field.replace("_", "-") for field in settings.model_fields}
        assert {option.lower() for option in told} >= options, name
