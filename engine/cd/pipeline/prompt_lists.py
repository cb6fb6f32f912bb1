"""How prompts of a file are shown: a page of them, each with its id, tags and source."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from engine.cd.pipeline.prompt_file import StoredPrompt
from engine.errors import InputError
from engine.plots.picture import screen
from engine.printable import printable


def shown(prompts: Sequence[StoredPrompt]) -> str:
    width, _ = screen()
    return "\n".join(_entry(prompt, width) for prompt in prompts)


def paged(prompts: Sequence[StoredPrompt], page: int, per_page: int) -> tuple[Sequence[StoredPrompt], int]:
    """The prompts of page `page`, and how many pages there are."""
    pages = max(1, -(-len(prompts) // per_page))
    if page > pages:
        raise InputError(f"--page {page}: there {'is 1 page' if pages == 1 else f'are {pages} pages'}; give one of these.")
    return prompts[(page - 1) * per_page : page * per_page], pages


def _entry(prompt: StoredPrompt, width: int) -> str:
    told = [prompt.id, f"[{', '.join(prompt.tags)}]" if prompt.tags else "", prompt.source, prompt.added]
    head = "  ".join(printable(one) for one in told if one)
    return f"{head}\n{textwrap.fill(printable(prompt.text), width, initial_indent='    ', subsequent_indent='    ')}"
