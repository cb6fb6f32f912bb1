"""`tiller cd prompts list`: what a file of prompts holds."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cd.pipeline.prompt_file import PromptFile, StoredPrompt, tagged
from engine.cd.pipeline.prompt_lists import paged, shown
from engine.cd.pipeline.settings import PromptsListSettings
from engine.workspace import find_workspace


def run(settings: PromptsListSettings) -> str:
    workspace = find_workspace()
    file = PromptFile.of(workspace, settings.file)
    return show_page(tagged(file.must_read(), settings.tag), settings, workspace.relative(file.path))


def show_page(prompts: Sequence[StoredPrompt], settings: PromptsListSettings, where: str) -> str:
    """Print one page → the summary line."""
    page, pages = paged(prompts, settings.page, settings.per_page)
    if page:
        print(shown(page))
    more = f"; --page {settings.page + 1} shows more" if settings.page < pages else ""
    of_pages = f", page {settings.page} of {pages}" if pages > 1 else ""
    return f"{len(prompts)} {'prompt' if len(prompts) == 1 else 'prompts'} in {where}{of_pages}{more}"
