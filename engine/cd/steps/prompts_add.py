"""`tiller cd prompts add`: more prompts for a file."""

from __future__ import annotations

from engine.cd.pipeline.prompt_file import PromptFile
from engine.cd.pipeline.prompt_lists import shown
from engine.cd.pipeline.settings import PromptsAddSettings
from engine.workspace import find_workspace


def run(settings: PromptsAddSettings) -> str:
    workspace = find_workspace()
    file = PromptFile.of(workspace, settings.file)
    added = file.add(settings.text, settings.tag, settings.source)
    print(shown(added))
    return f"added {len(added)} to {workspace.relative(file.path)}, which has {len(file.read())}"
