"""What two models think of texts that they are shown: the numbers that decoding finds, for texts from anywhere.

Owns the teacher-forced pass (§2.1–2.3 of specs/contrastive_decoding.md, with the right slices: each token is measured by its
own prediction). Texts behind one prompt share its computation. It does not know where texts come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.cd.decoding.book import NumberBook
from engine.cd.decoding.divergences import Weights
from engine.cd.decoding.numbers import TokenNumbers
from engine.cd.decoding.state import check_lengths
from engine.cd.pairs.pair import Member, Pair, PairPrompt
from engine.cd.settings import MeasureSettings
from engine.forward import Runner, enough_memory, if_padded, pad, prefill

_PART = 2**24  # logits of one model that are held at a time

Scored = tuple[int, TokenNumbers, TokenNumbers | None]


@torch.inference_mode()
def score(
    pair: Pair,
    rows: Sequence[tuple[PairPrompt, tuple[int, ...]]],
    settings: MeasureSettings,
    weights: Weights = (1.0, -1.0),
) -> Iterator[Scored]:
    """Yield (index in `rows`, numbers of the text, numbers of the prompt's shared tokens but the first), long ones first.

    rows: a prompt and the token ids of the text behind it. The prompt's numbers are there if `settings.measure_prompt` is.
    weights: of S and C, for the published weighted form only.
    """
    check_lengths(pair, [(prompt, len(text)) for prompt, text in rows], "shorten the prompts or the texts")
    prompts = prompt_numbers(pair, [prompt for prompt, _ in rows], settings, weights) if settings.measure_prompt else {}
    spans = [_Span(prompt, text, len(prompt.starting), len(prompt.comparison)) for prompt, text in rows]
    for index, numbers in _forced(pair, spans, settings, weights):
        yield index, numbers, prompts.get(rows[index][0])


@torch.inference_mode()
def prompt_numbers(
    pair: Pair, prompts: Sequence[PairPrompt], settings: MeasureSettings, weights: Weights
) -> dict[PairPrompt, TokenNumbers]:
    """The numbers of every prompt's shared tokens but the first, which has no prediction that both were asked for."""
    unique = list(dict.fromkeys(prompts))
    found = dict(_forced(pair, [_own_tokens(prompt) for prompt in unique], settings, weights))
    return {prompt: found[index] for index, prompt in enumerate(unique)}


@dataclass(frozen=True, slots=True)
class _Span:
    """`text` behind `prompt`. Steering goes by the lengths of the whole prompt of S and C, of which text may be the end."""

    prompt: PairPrompt
    text: tuple[int, ...]
    starting_length: int
    comparison_length: int


def _own_tokens(prompt: PairPrompt) -> _Span:
    """The prompt's shared tokens as a text behind the first of them."""
    own = prompt.shared - 1
    cut, behind = len(prompt.starting) - own, len(prompt.comparison) - own
    head = PairPrompt(prompt.starting[:cut], prompt.comparison[:behind], 1)
    return _Span(head, prompt.starting[cut:], len(prompt.starting), len(prompt.comparison))


def _forced(
    pair: Pair, spans: Sequence[_Span], settings: MeasureSettings, weights: Weights
) -> Iterator[tuple[int, TokenNumbers]]:
    order = sorted(range(len(spans)), key=lambda index: _size(spans[index]), reverse=True)
    for start in range(0, len(order), settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        batch = [spans[index] for index in chosen]
        book = NumberBook(pair, len(batch), max(len(span.text) for span in batch), settings, weights)
        with enough_memory(len(batch)):
            _fill(book, pair, batch)
        for row, index in enumerate(chosen):
            yield index, book.numbers(row, len(spans[index].text))


def _size(span: _Span) -> tuple[object, ...]:
    """Texts of like length come together, and those of one prompt beside each other."""
    return len(span.prompt.starting) + len(span.text), span.prompt.starting, span.prompt.comparison, span.text


def _fill(book: NumberBook, pair: Pair, batch: Sequence[_Span]) -> None:
    """Compute the prompts, then the texts behind them some columns at a time: the logits of all may be several times the
    models."""
    texts, valid = pad([span.text for span in batch], "right")
    width = texts.shape[1]
    if not width:
        return
    sides = (
        _Side(pair.starting, batch, [span.prompt.starting for span in batch], [span.starting_length for span in batch]),
        _Side(pair.comparison, batch, [span.prompt.comparison for span in batch], [span.comparison_length for span in batch]),
    )
    device, columns = pair.starting.model.device, max(1, _PART // (len(batch) * pair.vocabulary))
    for begin in range(0, width, columns):
        end = min(begin + columns, width)
        row, column = valid[:, begin:end].nonzero(as_tuple=True)
        starting, comparison = (side.logits(begin, end)[row, column, : pair.vocabulary].to(device) for side in sides)
        book.note(row.numpy(), (column + begin).numpy(), starting, comparison, texts[row, column + begin].to(device))


class _Side:
    """One member over the rows of a batch: heads are computed, texts wait behind them."""

    def __init__(
        self, member: Member, batch: Sequence[_Span], heads: Sequence[tuple[int, ...]], lengths: Sequence[int]
    ) -> None:
        self._runner = Runner(member.model, member.steering)
        before = [(head[-1], *span.text[:-1]) if span.text else () for head, span in zip(heads, batch, strict=True)]
        self._ids, self._valid = pad(before, "right")  # column t holds what text token t is predicted from
        self._rows = self._runner.rows(lengths, [0] * len(batch), [None] * len(batch))
        self._first = torch.tensor([len(head) - 1 for head in heads])
        with self._runner.attached():
            self._prefix = prefill(self._runner, heads, self._rows, self._ids.shape[1])

    def logits(self, begin: int, end: int) -> Tensor:
        """Of columns begin to end, which must follow those of the call before: [batch, end − begin, vocab]."""
        ids, valid = self._ids[:, begin:end], self._valid[:, begin:end]
        # pads behind a row may reach past the model's last position; they are hidden, so any position does for them
        positions = torch.where(valid, self._first[:, None] + torch.arange(begin, end), 0)
        mask = if_padded(torch.cat([self._prefix.valid, self._valid[:, :end]], 1))
        with self._runner.attached():
            touched = self._runner.touched(self._rows, positions, valid)
            logits = self._runner.run(self._rows, ids, positions, touched, mask, self._prefix.cache, keep=end - begin)
        assert logits is not None
        return logits
