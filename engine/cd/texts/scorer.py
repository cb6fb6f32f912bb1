"""Numbers of texts that are there already: texts from elsewhere in a cell of their own, and texts that lost their numbers.

Owns the ids of external texts, which follow from their content, and the teacher-forced pass over what is missing. It does not
know where texts come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from engine.cd.pairs.opening import PairSource, Role, open_pair, pair_source
from engine.cd.prompts.asked import AskedPrompt
from engine.cd.score_settings import ScoredSettings
from engine.cd.settings import MeasureSettings
from engine.cd.texts.records import MeasuredText
from engine.cd.texts.writing import CellTexts, TextWriter
from engine.cd.views.vocabulary import FACT, record_vocabulary
from engine.store import Response, record_cell, response_id, text_hash
from engine.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from engine.cd.pairs.pair import Pair, PairPrompt

_SAMPLE_DIGITS = 12  # of a text's hash: two of a prompt's texts never share a number, and JSON holds it exactly


@dataclass(frozen=True, slots=True)
class ExternalText:
    """A text behind a prompt; with an empty prompt it stands alone, and its first token is not measured unless the tokenizer
    begins texts with a token of its own."""

    prompt: AskedPrompt
    text: str


class Scorer:
    """The texts of one cell that were written elsewhere. The order in which they come never matters."""

    def __init__(
        self,
        workspace: Workspace,
        settings: ScoredSettings,
        source: PairSource,
        opened: Callable[[], Pair],
        role: Role | None = None,
    ) -> None:
        """opened: gives the same pair at every call, loading it at the first. role: as a `Decoder`'s."""
        self.workspace, self.settings, self.source = workspace, settings, source
        self.role: Role | None = role
        self.key = settings.key(**source.inputs(role))
        self._opened = opened
        self._written = CellTexts(workspace, self.key)

    @property
    def added(self) -> int:
        """How many texts were written or measured here."""
        return self._written.added

    def scored(self, texts: Sequence[ExternalText]) -> list[MeasuredText]:
        """Each text with its numbers, in their order; equal texts behind equal prompts are one record."""
        responses = {response.id: response for response in map(self._response, texts)}
        known = self._written.measured()
        unmeasured = [response for name, response in responses.items() if name not in known]
        kept = [known[name] for name in responses if name in known]
        lacking = [text for text in kept if text.prompt_numbers is None and text.prompt] if self.settings.measure_prompt else []
        if unmeasured or lacking:
            self._measure(unmeasured, lacking, {one.prompt.id: one.prompt for one in texts})
        known = self._written.measured()
        return [known[self._id(one)] for one in texts]

    def _measure(
        self, unmeasured: Sequence[Response], lacking: Sequence[MeasuredText], prompts: Mapping[str, AskedPrompt]
    ) -> None:
        pair, settings = self._opened(), self.settings
        bare, new = self._written.bare(), {response.id: response for response in unmeasured}
        weights = (settings.starting_weight, settings.comparison_weight)
        with TextWriter(
            self._written, "score", len(unmeasured) + len(lacking), settings.batch_size, lambda: self._record(pair)
        ) as writer:
            for text in with_numbers(pair, prompts, unmeasured, lacking, settings, weights):
                response = new.get(text.id) if text.id not in bare else None
                writer.add(replace(response, n_tokens=len(text.token_ids)) if response else None, text)

    def _record(self, pair: Pair) -> None:
        vocabulary = record_vocabulary(self.workspace, pair.starting.model.tokenizer)
        facts = {**self.source.facts(), "rule": "texts from elsewhere", "role": self.role, FACT: vocabulary}
        record_cell(self.workspace, self.key, self.settings, self.source.inputs(self.role), facts)

    def _id(self, one: ExternalText) -> str:
        return response_id(self.key, one.prompt.id, _sample(one.text))

    def _response(self, one: ExternalText) -> Response:
        return Response(
            id=self._id(one),
            cell=self.key,
            prompt_id=one.prompt.id,
            prompt=one.prompt.text,
            sample=_sample(one.text),
            seed=0,
            text=one.text,
            text_sha256=text_hash(one.text),
            finish="stop",
            n_tokens=0,
        )


def open_scorer(settings: ScoredSettings) -> Scorer:
    """The scorer of the current workspace. The models are loaded at the first text that has no numbers."""
    workspace, source = find_workspace(), pair_source(settings)
    return Scorer(workspace, settings.scored_settings(), source, cache(lambda: open_pair(source, settings)))


def with_numbers(
    pair: Pair,
    prompts: Mapping[str, AskedPrompt],
    unmeasured: Sequence[Response],
    lacking: Sequence[MeasuredText],
    settings: MeasureSettings,
    weights: tuple[float, float],
) -> Iterator[MeasuredText]:
    """Responses that have no numbers, as texts that have; and texts that lack their prompt's, with those beside what they had.
    prompts: of all of them, by id. weights: of S and C, for the published weighted form."""
    from engine.cd.decoding.forcing import score
    from engine.cd.prompts.asked import encode
    from engine.cd.prompts.encoding import encode_text
    from engine.cd.texts.pieces import prompt_pieces, text_pieces

    tokenizer = pair.starting.model.tokenizer
    rows: list[tuple[PairPrompt, tuple[int, ...]]] = [
        encode_text(pair, prompts[response.prompt_id], response.text, settings) for response in unmeasured
    ]
    rows += [(encode(pair, prompts[text.prompt_id], settings), tuple(text.token_ids)) for text in lacking]
    for index, generated, prompt in score(pair, rows, settings, weights):
        encoded, ids = rows[index]
        shown = prompt_pieces(tokenizer, encoded) if prompt is not None else ()
        if index >= len(unmeasured):
            yield replace(lacking[index - len(unmeasured)], prompt_tokens=shown, prompt_numbers=prompt)
            continue
        response = unmeasured[index]
        yield MeasuredText(
            response.id,
            response.cell,
            response.prompt_id,
            response.prompt,
            response.sample,
            response.text,
            text_pieces(tokenizer, ids, encoded.starting),
            ids,
            generated,
            shown,
            prompt,
        )


def _sample(text: str) -> int:
    return int(text_hash(text)[:_SAMPLE_DIGITS], 16)
