"""Ways to write texts with two models: tiller's, a plain loop that combines nothing, the original's without a cache, and what a
user would write around the library's `generate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList

from cd_parts.subjects import NEW_TOKENS, Subject
from engine.cd.decoding.combination import combine
from engine.cd.decoding.loop import PairRow, decode
from engine.cd.decoding.state import PairState
from engine.errors import EngineError
from engine.sampling import Sampling
from engine.stepping import Writing

Work = Callable[[], object]


def ours(subject: Subject, batch: int) -> Work:
    """With all divergences, and the likeliest tokens beside every token."""
    rows = [PairRow(prompt, seed) for seed, prompt in enumerate(subject.prompts(batch))]
    return lambda: list(decode(subject.pair, rows, subject.settings))


@torch.inference_mode()
def _unmeasured(subject: Subject, batch: int) -> None:
    settings = subject.settings
    state = PairState(subject.pair, subject.prompts(batch), NEW_TOKENS)
    sampling = Sampling(NEW_TOKENS, settings.temperature, settings.top_k, settings.top_p)
    writing, current = Writing(range(batch), sampling, frozenset()), None
    while not writing.over:
        current = writing.write(combine(*state.next(current), settings), EngineError)


def unmeasured(subject: Subject, batch: int) -> Work:
    """tiller's loop, whose numbers nobody keeps."""
    return lambda: _unmeasured(subject, batch)


@torch.inference_mode()
def _plain(subject: Subject, ids: Tensor) -> None:
    models = [model.model for model in subject.models]
    caches = [DynamicCache(config=model.config) for model in models]
    for _ in range(NEW_TOKENS):
        logits = [
            model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
            for model, cache in zip(models, caches, strict=True)
        ]
        ids = logits[0].argmax(-1)[:, None]
        ids.cpu()  # who writes texts looks at every token


def plain(subject: Subject, batch: int) -> Work:
    """Both models' cached passes and nothing else: the likeliest token of S is shown to both."""
    ids = subject.ids(batch)
    return lambda: _plain(subject, ids)


@torch.inference_mode()
def _recomputed(subject: Subject, ids: Tensor) -> None:
    models = [model.model for model in subject.models]
    for _ in range(NEW_TOKENS):
        p, q = (model(ids, use_cache=False).logits.softmax(-1) for model in models)
        logits = (p - q).clamp(min=0).add(1e-7).log()[:, -1] / subject.settings.temperature
        ids = torch.cat([ids, torch.multinomial(logits.softmax(-1), 1)], 1)


def recomputed(subject: Subject, batch: int) -> Work:
    """The original's pattern without its later pass for divergences: no cache, probabilities of all positions at every step."""
    ids = subject.ids(batch)
    return lambda: _recomputed(subject, ids)


class _Contrast(LogitsProcessor):
    """logprob_difference with mask 0.1, and a cache of its own for C."""

    def __init__(self, subject: Subject) -> None:
        self._model = subject.models[1].model
        self._settings = subject.settings
        self._cache = DynamicCache(config=self._model.config)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        unseen = input_ids[:, self._cache.get_seq_length() :]
        logits = self._model(unseen, past_key_values=self._cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        strong, weak = scores.float().log_softmax(-1), logits.float().log_softmax(-1)
        threshold = strong.amax(-1, keepdim=True) + torch.tensor(self._settings.mask).log()
        return (strong - weak).masked_fill(strong < threshold, -torch.inf)


def processor(subject: Subject, batch: int) -> Work:
    """`generate` of S under a logits processor that runs C; no divergences."""
    ids = subject.ids(batch)
    model: Any = subject.models[0].model
    mask = torch.ones_like(ids)
    lengths = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}

    def work() -> object:
        contrast = LogitsProcessorList([_Contrast(subject)])
        return model.generate(
            ids, attention_mask=mask, do_sample=True, eos_token_id=None, pad_token_id=0, logits_processor=contrast, **lengths
        )

    return work


WAYS: dict[str, Callable[[Subject, int], Work]] = {
    "two plain forwards": plain,
    "tiller": ours,
    "tiller, unmeasured": unmeasured,
    "logits processor": processor,
    "recomputed": recomputed,
}
