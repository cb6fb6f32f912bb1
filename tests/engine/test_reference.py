"""The generated reference is current, and tells every option of every step once."""

from __future__ import annotations

import re
from pathlib import Path

from engine.reference import reference
from engine.steering.cli import STEPS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "steer.md"


def test_the_reference_of_steering_is_current():
    assert PAGE.read_text(encoding="utf-8") == reference("steer", STEPS), (
        "run `python -m engine.reference steer > docs/reference/steer.md`"
    )


def test_every_option_of_every_step_stands_in_its_section_or_in_one_that_it_names():
    """Against the settings classes themselves, not against how the page is made."""
    sections = dict(re.findall(r"^##+ (.+?)\n(.*?)(?=^##+ |\Z)", reference("steer", STEPS), re.MULTILINE | re.DOTALL))
    for name, (settings, _) in STEPS.items():
        own = sections[f"`tiller steer {name}`"]
        shared = [sections[title] for title in re.findall(r"\[([a-z ]+)\]\(#", own)]
        told = set(re.findall(r"^\| `(?:--)?([\w-]+)` \|", "\n".join([own, *shared]), re.MULTILINE))
        options = {field.replace("_", "-") for field in settings.model_fields}
        assert {option.lower() for option in told} >= options, name
