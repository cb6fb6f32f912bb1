"""`tiller judge rubrics`: what can be judged by; or one rubric, with the question as a judge is asked it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from engine.errors import InputError
from engine.judges.asking import ask
from engine.judges.judge import rubrics_folder
from engine.judges.rubric import DEMO, Rubric, find_rubric, load_rubric, rubric_names
from engine.judges.settings import RubricsSettings
from engine.judges.verdict import Subject
from engine.text_table import WIDTH
from engine.workspace import find_workspace


def run(settings: RubricsSettings) -> str:
    folder = _folder()
    if settings.name is not None:
        rubric = find_rubric(settings.name, folder)
        if settings.attribute is not None:
            rubric = load_rubric(settings.name, settings.attribute, folder)
        print(_shown(rubric))
        return f"rubric {rubric.id}, version {rubric.version}, fingerprint {rubric.fingerprint()}"
    names = rubric_names(folder)
    listed = [name for name in names if not name.startswith(DEMO)]
    width = max(map(len, listed))
    for name in listed:
        print(_filled(*_entry(name, folder, width)))
    attributes = [name.removeprefix(DEMO) for name in names if name.startswith(DEMO)]
    print(_filled(f"\n{DEMO}<attribute>: ", f"the demo judge's own question about {', '.join(attributes)}") + "\n")
    return f"{len(names)} rubrics; `tiller judge rubrics ID` shows one. Your own go into rubrics/<id>.toml of the workspace"


def _entry(name: str, folder: Path | None, width: int) -> tuple[str, str]:
    """Label and text of a rubric in the list. One that cannot be used says why, and hides no other."""
    try:
        rubric = find_rubric(name, folder)
        form, text = _form(rubric), rubric.about
    except InputError as error:
        form, text = "broken", str(error)
    return f"{name:<{width}}  {form:<10}  ", text


def _shown(rubric: Rubric) -> str:
    """What it is, then every turn that a judge is shown."""
    lines = [_filled("", rubric.about), f"{_form(rubric)}; {len(rubric.known)} known cases for `tiller judge check`"]
    if rubric.rule is not None:
        ((way, what),) = rubric.rule.model_dump(exclude_defaults=True).items()
        return "\n".join([*lines, _filled(f"{way}: ", ", ".join(what)) if way == "lexicon" else f"{way}: {what}", ""])
    subject = Subject("PROMPT", ("ANSWER A", "ANSWER B"), "ab") if rubric.kind == "pair" else Subject("PROMPT", ("ANSWER",))
    for turn in ask(rubric, subject):
        lines += ["", f"[{turn.role}]", turn.content]
    return "\n".join([*lines, ""])


def _filled(label: str, text: str) -> str:
    """The text behind its label, and below itself."""
    return textwrap.fill(text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label.lstrip("\n")))


def _form(rubric: Rubric) -> str:
    """Its kind in a few words."""
    if rubric.kind == "scale":
        return f"{rubric.scale[0]:g} to {rubric.scale[1]:g}" + (" (lower is more)" if rubric.direction == "lower" else "")
    return {"choice": " / ".join(rubric.answers), "pair": "A / B", "rule": "rule"}[rubric.kind]


def _folder() -> Path | None:
    """The user's rubrics; outside a workspace those that come with tiller are listed."""
    try:
        return rubrics_folder(find_workspace())
    except InputError:
        return None
