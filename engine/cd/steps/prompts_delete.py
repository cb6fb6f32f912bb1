"""`tiller cd prompts delete`: prompts that go away."""

from __future__ import annotations

from engine.cd.pipeline.prompt_file import PromptFile
from engine.cd.pipeline.prompt_lists import shown
from engine.cd.pipeline.settings import PromptsDeleteSettings
from engine.workspace import find_workspace


def run(settings: PromptsDeleteSettings) -> str:
    workspace = find_workspace()
    file = PromptFile.of(workspace, settings.file)
    file.must_read()
    gone = file.delete(settings.id)
    print(shown(gone))
    return f"deleted {len(gone)} from {workspace.relative(file.path)}, which has {len(file.read())}"
