"""What steering costs: how probable ordinary text is under it (§10: a capability check beside every sweep).

Owns the passages and their measurement. The second half of a passage is scored behind its first, which counts as the prompt, so
that every position rule means something here too (`from_marker` steers as `completion` does: a passage has no marker). A demo
passage is a question with its answer: of the skills that no steered behaviour is about.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data import Chat
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.forward import Steering
    from engine.likelihood import Query
    from engine.models import LoadedModel
    from engine.steering.experiment import Experiment
    from engine.steering.settings import SweepSettings

_OURS = Path(__file__).with_name("passages.txt")
_DEMO_PASSAGES = 60
_LONGEST = 800  # characters: a passage fits every model's context
_ROWS = 8  # a passage's row takes this many times the memory of a question's


@dataclass(frozen=True, slots=True)
class Passage:
    """`text` behind `chat`, or alone where that is empty. The id is a hash of both, so another text is another passage."""

    text: str
    chat: Chat = ()

    @property
    def id(self) -> str:
        content = "\0".join((*(f"{message.role}\1{message.content}" for message in self.chat), self.text))
        return f"passage-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def asked_passages(experiment: Experiment, settings: SweepSettings) -> tuple[Passage, ...]:
    """Those that a sweep asks, under its limit."""
    demo = experiment.source.is_demo or experiment.settings.dataset == "demo"
    return load_passages(settings.capability_text, demo)[: settings.limit]


def load_passages(text: str | None, demo: bool) -> tuple[Passage, ...]:
    """Those of a UTF-8 file, else demo texts from its held-out split, else ours."""
    if text is None:
        return _demo_passages() if demo else _split(_OURS.read_text(encoding="utf-8"))
    path = Path(text).expanduser()
    try:
        found = _split(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give --capability-text a text file.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}); save it as UTF-8.") from error
    if not found:
        raise InputError(f"{path} has no passage of two words or more; give --capability-text a longer text.")
    return found


def queries_of(model: LoadedModel, passages: Sequence[tuple[int, Passage]], arm_of: Callable[[int], int]) -> list[Query]:
    """What is asked of (cell index, passage)."""
    from engine.forward import check_length
    from engine.likelihood import Query

    halves: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for _, passage in passages:
        if passage.id not in halves:
            halves[passage.id] = _halves(model, passage)
    longest = max((len(prompt) + len(rest) for prompt, rest in halves.values()), default=0)
    check_length(model, longest, "give --capability-text shorter paragraphs")
    return [
        Query(prompt, rest, (), arm_of(index), len(prompt) - 1)
        for index, (prompt, rest) in ((index, halves[passage.id]) for index, passage in passages)
    ]


def measure(
    model: LoadedModel,
    queries: Sequence[Query],
    steering: Steering,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """{"nll" in nats, "tokens"} of each query, in order."""
    from engine.likelihood import likelihoods

    found: dict[int, dict[str, Any]] = {}
    for index, likelihood in likelihoods(model, queries, steering, max(1, batch_size // _ROWS)):
        found[index] = {"nll": -likelihood.continuation, "tokens": len(queries[index].continuation)}
        advance(1)
    return [found[index] for index in range(len(queries))]


def _halves(model: LoadedModel, passage: Passage) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Prompt and scored rest, at least one token each."""
    if passage.chat:
        from engine.chats import encode_chat, prefilled

        encoded = encode_chat(model.tokenizer, prefilled(passage.chat, passage.text))
        return encoded.ids[: encoded.prompt_length], encoded.ids[encoded.prompt_length :]
    ids = tuple(model.tokenizer(passage.text)["input_ids"])
    if len(ids) < 2:
        raise InputError(f"The passage {passage.text!r} is less than two tokens; give --capability-text longer paragraphs.")
    half = len(ids) // 2
    return ids[:half], ids[half:]


def _split(text: str) -> tuple[Passage, ...]:
    """Paragraphs stand between empty lines; long ones are cut between words. A lone word is no passage."""
    found = []
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        words, length, taken = paragraph.split(), 0, []
        for word in words:
            if taken and length + len(word) > _LONGEST:
                found.append(taken)
                taken, length = [], 0
            taken.append(word)
            length += len(word) + 1
        found.append(taken)
    return tuple(dict.fromkeys(Passage(" ".join(words)) for words in found if len(words) > 1))


def _demo_passages() -> tuple[Passage, ...]:
    from engine.demo.skills import edit, judge, repeat

    skills = (repeat, edit, judge)
    made = (skills[i % 3].example(random.Random(f"capability {i}"), "test") for i in range(_DEMO_PASSAGES))
    return tuple(dict.fromkeys(Passage(answer, chat) for chat, answer in made))
