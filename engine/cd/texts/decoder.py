"""Texts of two models, asked for by prompt: those that are written are read, the others are written now.

Owns the cell that texts belong to, their ids and seeds, and what is missing. Everything that needs texts of two models asks
here: the step `decode`, the search, the pipeline, the analyses. It does not know how tokens are chosen
(`engine.cd.decoding`). No torch before the first text is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from engine.cd.pairs.opening import PairSource, Role, open_pair, pair_source
from engine.cd.prompts.asked import AskedPrompt
from engine.cd.score_settings import scored_of
from engine.cd.settings import PairSettings, TextSettings
from engine.cd.texts.cells import rule_words
from engine.cd.texts.records import MeasuredText
from engine.cd.texts.scorer import ExternalText, Scorer, with_numbers
from engine.cd.texts.writing import CellTexts, TextWriter
from engine.cd.views.vocabulary import FACT, record_vocabulary
from engine.errors import InputError
from engine.store import Response, record_cell, response_id, text_hash
from engine.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from engine.cd.decoding.loop import PairCompletion
    from engine.cd.pairs.pair import Pair, PairPrompt

_OF_LOADING = {*PairSettings.model_fields} - {
    "starting_prefix",
    "comparison_prefix",
    "comparison_context",
    "form",
    "batch_size",
}
"""Settings that an opened pair cannot change any more."""


class Decoder:
    """The texts of one cell. Several decoders share one opened pair (`variant`)."""

    def __init__(
        self,
        workspace: Workspace,
        settings: TextSettings,
        source: PairSource,
        opened: Callable[[], Pair],
        role: Role | None = None,
    ) -> None:
        """opened: gives the same pair at every call, loading it at the first. role: who chooses the prompts, if not the user:
        such texts lie in cells of their own, since they would bend the statistics of the user's."""
        self.workspace, self.settings, self.source = workspace, settings, source
        self.role: Role | None = role
        self.key = settings.key(**source.inputs(role))
        self._opened = opened
        self._written = CellTexts(workspace, self.key)

    def variant(self, **changes: Any) -> Decoder:
        """A decoder of other texts by the same two models. changes: of how they are combined, drawn, measured or asked."""
        fixed = sorted(_OF_LOADING & changes.keys())
        if fixed:
            raise InputError(f"The models are loaded, so {', '.join(fixed)} cannot change; open another decoder.")
        settings = TextSettings.model_validate(self.settings.text_settings().model_dump() | changes)
        return Decoder(self.workspace, settings, self.source, self._opened, self.role)

    @property
    def added(self) -> int:
        """How many texts were written or measured here."""
        return self._written.added

    def texts(self, prompts: Sequence[AskedPrompt], samples: int | None = None) -> dict[str, list[MeasuredText]]:
        """{prompt id: its texts, sample by sample}; what is missing is written first, and so are the numbers of texts that lack
        them, or lack those of the prompt where the settings want them. samples: per prompt (None: as the settings say)."""
        count = self.settings.samples if samples is None else samples
        asked = {prompt.id: prompt for prompt in prompts}
        wanted = [(prompt, sample) for prompt in asked.values() for sample in range(count)]
        self._complete(wanted, count)
        known = self._written.measured()
        return {name: [known[self._id(name, sample)] for sample in range(count)] for name in asked}

    def scored(self, texts: Sequence[ExternalText]) -> list[MeasuredText]:
        """Texts from elsewhere, measured as this decoder measures its own, in their order; kept in a cell of their own."""
        return self.scorer().scored(texts)

    def scorer(self) -> Scorer:
        return Scorer(self.workspace, scored_of(self.settings), self.source, self._opened, self.role)

    def _id(self, prompt_id: str, sample: int) -> str:
        return response_id(self.key, prompt_id, sample)

    def _complete(self, wanted: Sequence[tuple[AskedPrompt, int]], count: int) -> None:
        known, bare = self._written.measured(), self._written.bare()
        missing = [one for one in wanted if (name := self._id(one[0].id, one[1])) not in known and name not in bare]
        prompts = {prompt.id: prompt for prompt, _ in wanted}
        unmeasured = [response for response in bare.values() if response.prompt_id in prompts]
        lacking = []
        if self.settings.measure_prompt:
            ids = (self._id(prompt.id, sample) for prompt, sample in wanted)
            lacking = [known[name] for name in ids if name in known and known[name].prompt_numbers is None]
        if not (missing or unmeasured or lacking):
            return
        pair = self._opened()
        if unmeasured or lacking:
            weights = (self.settings.starting_weight, self.settings.comparison_weight)
            with self._writer(pair, "measure", len(unmeasured) + len(lacking)) as writer:
                for text in with_numbers(pair, prompts, unmeasured, lacking, self.settings, weights):
                    writer.add(None, text)
        if missing:
            self._write(pair, missing, count)

    def _write(self, pair: Pair, missing: Sequence[tuple[AskedPrompt, int]], count: int) -> None:
        from engine.cd.decoding.loop import PairRow, decode
        from engine.cd.prompts.asked import encode
        from engine.sampling import row_seed

        prompts = {prompt.id: prompt for prompt, _ in missing}
        if self.settings.num_beams is not None:  # one search gives all texts of a prompt, best first
            missing = [(prompt, sample) for prompt in prompts.values() for sample in range(count)]
        encoded = {name: encode(pair, prompt, self.settings) for name, prompt in prompts.items()}
        seeds = [row_seed(self.settings.seed, prompt.id, sample, 0) for prompt, sample in missing]
        rows = [PairRow(encoded[prompt.id], seed) for (prompt, _), seed in zip(missing, seeds, strict=True)]
        with self._writer(pair, "decode", len(rows)) as writer:
            for index, completion in decode(pair, rows, self.settings):
                prompt, sample = missing[index]
                text = self._text(pair, prompt, encoded[prompt.id], sample, completion)
                writer.add(self._response(text, seeds[index], completion), text)

    def _writer(self, pair: Pair, label: str, total: int) -> TextWriter:
        return TextWriter(self._written, label, total, self.settings.batch_size, lambda: self._record(pair))

    def _record(self, pair: Pair) -> None:
        vocabulary = record_vocabulary(self.workspace, pair.starting.model.tokenizer)
        facts = {**self.source.facts(), "rule": rule_words(self.settings), "role": self.role, FACT: vocabulary}
        record_cell(self.workspace, self.key, self.settings, self.source.inputs(self.role), facts)

    def _text(
        self, pair: Pair, prompt: AskedPrompt, encoded: PairPrompt, sample: int, completion: PairCompletion
    ) -> MeasuredText:
        from engine.cd.texts.pieces import prompt_pieces, text_pieces, written_text

        tokenizer = pair.starting.model.tokenizer
        pieces = text_pieces(tokenizer, completion.ids, encoded.starting)
        return MeasuredText(
            self._id(prompt.id, sample),
            self.key,
            prompt.id,
            prompt.text,
            sample,
            written_text(tokenizer, completion.ids, pieces, self.settings.form),
            pieces,
            completion.ids,
            completion.generated,
            prompt_pieces(tokenizer, encoded) if completion.prompt is not None else (),
            completion.prompt,
        )

    def _response(self, text: MeasuredText, seed: int, completion: PairCompletion) -> Response:
        return Response(
            id=text.id,
            cell=self.key,
            prompt_id=text.prompt_id,
            prompt=text.prompt,
            sample=text.sample,
            seed=seed,
            text=text.text,
            text_sha256=text_hash(text.text),
            finish=completion.finish,
            n_tokens=len(completion.ids),
        )


def open_decoder(settings: TextSettings, role: Role | None = None) -> Decoder:
    """The decoder of the current workspace. The models are loaded at the first missing text."""
    workspace, source = find_workspace(), pair_source(settings)
    return Decoder(workspace, settings.text_settings(), source, cache(lambda: open_pair(source, settings)), role)
