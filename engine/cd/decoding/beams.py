"""Beam search over two models' combined distribution, and diverse beam search: several groups that avoid each other's tokens.

Owns which beginnings are kept. A text's score is the sum of its tokens' combined scores: log p_E − λ·log p_A of the paper's
objective under the expert's mask, which leaves at least two tokens (§1.7 of specs/contrastive_decoding.md; Li et al. 2023,
arXiv 2210.15097); for `prob_difference` the logarithm of the combined probabilities, which are a distribution; for `none` the
model's own log-probability. The published search chose candidates by the expert's single steps, without what a beam had
gathered, and mixed up the beams of batches. This file knows neither numbers nor seeds: nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.cd.decoding.combination import combine
from engine.cd.decoding.state import PairState, check_lengths, faulty, prompt_size, stop_ids, without
from engine.cd.options import check_combination, check_drawing
from engine.cd.pairs.pair import Pair, PairPrompt
from engine.cd.settings import TextSettings
from engine.forward import enough_memory
from engine.store.records import Finish

_KEEP = 2
"""Tokens that the expert's mask leaves at least (`min_tokens_to_keep` of the paper's code): with one there is no search."""


@dataclass(frozen=True, slots=True)
class Beam:
    """A text: `ids` without the stop token. score: over its length, the stop token counted, to the power of the penalty; with
    groups, less what was taken off for tokens of others."""

    ids: tuple[int, ...]
    finish: Finish
    score: float


@torch.inference_mode()
def search(
    pair: Pair, prompts: Sequence[PairPrompt], settings: TextSettings, use_cache: bool = True
) -> Iterator[tuple[int, list[Beam]]]:
    """Yield (index in `prompts`, at most `settings.num_beams` texts, best first), a batch at a time, long prompts first.

    There are fewer where the rule leaves fewer ways to go on. A prompt's search ends at the full length, or when none of its
    unfinished beams has a better score than the worst of `num_beams` finished ones, as transformers ends it by default.
    """
    check_combination(settings)
    check_drawing(settings)
    assert settings.num_beams is not None
    check_lengths(
        pair,
        [(prompt, settings.max_new_tokens) for prompt in prompts],
        "shorten the prompts or give a smaller --max-new-tokens",
    )
    order = sorted(range(len(prompts)), key=lambda index: prompt_size(prompts[index]), reverse=True)
    at_once = max(1, settings.batch_size // settings.num_beams)
    for start in range(0, len(order), at_once):
        chosen = order[start : start + at_once]
        with enough_memory(len(chosen) * settings.num_beams):
            found = _search(pair, [prompts[index] for index in chosen], settings, settings.num_beams, use_cache)
        yield from zip(chosen, found, strict=True)


def _search(pair: Pair, prompts: Sequence[PairPrompt], settings: TextSettings, beams: int, use_cache: bool) -> list[list[Beam]]:
    """Row p·beams + b of the batch is beam b of prompt p; the beams of one group lie beside each other."""
    device, steps = pair.starting.model.device, settings.max_new_tokens
    stops = torch.tensor(sorted(stop_ids(pair)), dtype=torch.int64, device=device)
    forbidden = stops.tolist() if settings.exact_length else []
    width = beams // settings.beam_groups
    state = PairState(pair, [prompt for prompt in prompts for _ in range(beams)], steps, use_cache)
    groups = [_Group(len(prompts), width, steps, settings.length_penalty, stops) for _ in range(settings.beam_groups)]
    found: list[list[Beam]] = [[] for _ in prompts]
    alive = list(range(len(prompts)))
    current = None
    for step in range(steps):
        starting, comparison = state.next(current)
        scores = _scores(without(starting, forbidden), without(comparison, forbidden), settings)
        if bool(scores.isnan().any()):
            raise faulty(pair, starting_is_sound=bool(starting.logsumexp(-1).isfinite().all()))
        scores = scores.view(len(alive), len(groups), width, -1)
        penalty = torch.zeros_like(scores[:, 0, 0])  # [prompts, vocab]
        origins = []
        for number, group in enumerate(groups):
            group.advance(scores[:, number] - penalty[:, None], step)
            origins.append(group.origins + number * width)
            penalty.scatter_add_(1, group.current, settings.diversity_penalty * group.goes_on())
        going = torch.stack([group.open for group in groups]).any(0)
        for place in (~going).nonzero()[:, 0].tolist():
            texts = [beam for group in groups for beam in group.beams(place)]
            found[alive[place]] = sorted(texts, key=lambda beam: -beam.score)
        alive = [prompt for prompt, goes in zip(alive, going.tolist(), strict=True) if goes]
        if not alive:
            break
        rows = torch.arange(len(going), device=device)[:, None] * beams + torch.cat(origins, 1)
        for group in groups:
            group.keep(going)
        state.select(rows[going].flatten().cpu())
        current = torch.cat([group.current for group in groups], 1).flatten()
    return found


def _scores(starting: Tensor, comparison: Tensor, settings: TextSettings) -> Tensor:
    """What a token adds to its beam, [rows, vocab] float32, −inf where it is excluded."""
    combined = combine(starting, comparison, settings, keep=_KEEP)
    return combined.log_softmax(-1) if settings.rule == "prob_difference" else combined


class _Group:
    """The beams of one group for every prompt of a batch.

    running: [prompts, beams] scores of the unfinished ones, best first, −inf where there are fewer. current, origins: [prompts,
    beams], the token that each of them got last and the beam that it came from. open: [prompts], whether it pays to go on.
    """

    def __init__(self, prompts: int, beams: int, steps: int, length_penalty: float, stops: Tensor) -> None:
        device = stops.device
        self._beams, self._steps, self._length_penalty, self._stops = beams, steps, length_penalty, stops
        self.running = torch.full((prompts, beams), -torch.inf, device=device)
        self.running[:, 0] = 0  # all are the prompt alone: one of them stands for all
        self.origins = self.current = torch.zeros(prompts, beams, dtype=torch.int64, device=device)
        self.open = torch.ones(prompts, dtype=torch.bool, device=device)
        self._written = torch.zeros(prompts, beams, steps, dtype=torch.int64, device=device)
        self._finished = torch.full_like(self.running, -torch.inf)
        self._texts = self._written.clone()
        self._lengths = torch.zeros_like(self.current)

    def advance(self, scores: Tensor, step: int) -> None:
        """Go on by a token. scores: [prompts, beams, vocab], what each token adds.

        Of the best continuations, those among the first `beams` that end are finished; the others only stand by, so that there
        are as many to go on with (as in transformers).
        """
        prompts, beams, vocabulary = scores.shape
        reach = min((1 + max(1, len(self._stops))) * beams, beams * vocabulary)
        best, places = (self.running[:, :, None] + scores).view(prompts, -1).topk(reach)
        origins, tokens = places // vocabulary, places % vocabulary
        written = self._written.gather(1, origins[:, :, None].expand(-1, -1, self._steps)).clone()
        written[:, :, step] = tokens
        ends = torch.isin(tokens, self._stops) | (step + 1 == self._steps)
        self._finish(best.masked_fill(~ends | ~self.open[:, None], -torch.inf)[:, :beams], written[:, :beams], step + 1)
        self.running, chosen = best.masked_fill(ends, -torch.inf).topk(beams)
        self.origins, self.current = origins.gather(1, chosen), tokens.gather(1, chosen)
        self._written = written.gather(1, chosen[:, :, None].expand(-1, -1, self._steps))
        self.open &= self.running[:, 0] / (step + 1) ** self._length_penalty > self._finished[:, -1]

    def _finish(self, scores: Tensor, texts: Tensor, length: int) -> None:
        """Keep the best of what was finished and what is now. scores: [prompts, beams], −inf for what goes on."""
        merged = torch.cat([self._finished, scores / length**self._length_penalty], 1)
        self._finished, chosen = merged.topk(scores.shape[1])
        lengths = torch.cat([self._lengths, torch.full_like(self._lengths, length)], 1)
        self._lengths = lengths.gather(1, chosen)
        self._texts = torch.cat([self._texts, texts], 1).gather(1, chosen[:, :, None].expand(-1, -1, self._steps))

    def goes_on(self) -> Tensor:
        """[prompts, beams] bool."""
        return self.running.isfinite() & self.open[:, None]

    def keep(self, prompts: Tensor) -> None:
        """Go on with these prompts only. prompts: [prompts] bool."""
        self.running, self.origins, self.current = self.running[prompts], self.origins[prompts], self.current[prompts]
        self._finished, self._texts, self._lengths = self._finished[prompts], self._texts[prompts], self._lengths[prompts]
        self.open, self._written = self.open[prompts], self._written[prompts]

    def beams(self, prompt: int) -> Iterator[Beam]:
        """The finished texts of a prompt."""
        stops = set(self._stops.tolist())
        rows = zip(self._finished[prompt].tolist(), self._texts[prompt].tolist(), self._lengths[prompt].tolist(), strict=True)
        for score, text, length in rows:
            if score == -torch.inf:
                continue
            stopped = text[length - 1] in stops
            yield Beam(tuple(text[: length - stopped]), "stop" if stopped else "length", score)
