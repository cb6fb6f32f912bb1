"""`tiller cd prompts search`: prompts by what their texts say."""

from __future__ import annotations

from engine.cd.pipeline.prompt_file import PromptFile, matching, tagged
from engine.cd.pipeline.settings import PromptsSearchSettings
from engine.cd.steps.prompts_list import show_page
from engine.workspace import find_workspace


def run(settings: PromptsSearchSettings) -> str:
    workspace = find_workspace()
    file = PromptFile.of(workspace, settings.file)
    found = matching(tagged(file.must_read(), settings.tag), settings.what, settings.by, settings.similarity)
    return f"found {show_page(found, settings, workspace.relative(file.path))}"
