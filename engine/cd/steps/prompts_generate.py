"""`tiller cd prompts generate`: an assistant writes prompts about topics."""

from __future__ import annotations

import hashlib

from engine.assistants.assistant import open_assistant
from engine.assistants.raw_replies import RawReplies
from engine.cd.pipeline import wording
from engine.cd.pipeline.asking import Asker
from engine.cd.pipeline.assisting import read_prompts_of
from engine.cd.pipeline.journal import Budget, Limits
from engine.cd.pipeline.prompt_file import PromptFile, tagged
from engine.cd.pipeline.prompt_lists import shown
from engine.cd.pipeline.settings import PromptsGenerateSettings
from engine.errors import EngineError, InputError
from engine.progress import notice
from engine.store import Segment, writer_name
from engine.workspace import find_workspace

_SHOWN = 30  # prompts of a topic that are not to be repeated


def run(settings: PromptsGenerateSettings) -> str:
    asked = settings.assistant_settings()
    if asked is None:
        raise InputError("Somebody has to write the prompts; name who with --assistant.")
    workspace = find_workspace()
    file = PromptFile.of(workspace, settings.file)
    known = file.read()
    assistant = open_assistant(asked)
    folder = workspace.artifacts / "making" / f"prompts-{hashlib.sha256(assistant.identity.encode()).hexdigest()[:16]}"
    with Segment(folder, writer_name()) as segment:
        asker = Asker(
            RawReplies(folder, assistant, segment), Budget(Limits(), 0), asked.temperature, asked.max_tokens, settings.seed
        )
        questions = [
            wording.prompts_about(topic, [one.text for one in tagged(known, (topic,))][-_SHOWN:], settings.count)
            for topic in settings.topic
        ]
        written = asker.read_all(questions, read_prompts_of)
    texts = {prompt.text for prompt in known}
    added, unread, repeated = [], 0, 0
    for topic, prompts in zip(settings.topic, written, strict=True):
        unread += prompts is None
        new = [text for text in (prompts or [])[: settings.count] if text not in texts]
        repeated += len((prompts or [])[: settings.count]) - len(new)
        texts |= set(new)
        if new:
            added += file.add(new, (topic,), f"assistant {assistant.identity}")
    if unread:
        notice(f"the assistant's prompts for {unread} of {len(questions)} topics could not be read")
    if repeated:
        notice(f"{repeated} prompts were there already")
    if not added:
        raise EngineError("The assistant wrote no new prompt that could be read; change --topic, --seed or the assistant.")
    print(shown(added))
    return f"added {len(added)} to {workspace.relative(file.path)}, which has {len(known) + len(added)}"
