"""`tiller cd prompts edit`: another text or other tags for a prompt."""

from __future__ import annotations

from engine.cd.pipeline.prompt_file import PromptFile
from engine.cd.pipeline.prompt_lists import shown
from engine.cd.pipeline.settings import PromptsEditSettings
from engine.errors import InputError
from engine.workspace import find_workspace


def run(settings: PromptsEditSettings) -> str:
    if settings.tag and settings.no_tags:
        raise InputError("--tag gives tags and --no-tags takes them away; give one of the two.")
    if settings.text is None and not settings.tag and not settings.no_tags:
        raise InputError("Nothing is to be changed; give --text, --tag or --no-tags.")
    workspace = find_workspace()
    file = PromptFile.of(workspace, settings.file)
    file.must_read()
    tags = settings.tag if settings.tag else () if settings.no_tags else None
    before, after = file.edit(settings.id, settings.text, tags)
    if before == after:
        return f"{after.id} in {workspace.relative(file.path)} is so already"
    print(shown([before]), shown([after]), sep="\nis now\n")
    return f"changed {after.id} in {workspace.relative(file.path)}"
