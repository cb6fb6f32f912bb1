"""What is measured: two Llamas of random weights that never end a text, and prompts for them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from steering_parts.subjects import random_llama

from engine.cd.pairs.pair import Member, Pair, PairPrompt
from engine.cd.settings import TextSettings
from engine.models import LoadedModel

PROMPT_TOKENS, NEW_TOKENS = 32, 64


@dataclass(frozen=True)
class Subject:
    """Two models of one shape, and the settings that all ways follow as far as they can."""

    name: str
    pair: Pair
    settings: TextSettings

    @property
    def models(self) -> tuple[LoadedModel, LoadedModel]:
        return self.pair.starting.model, self.pair.comparison.model

    def prompts(self, batch: int) -> list[PairPrompt]:
        draw = torch.Generator().manual_seed(2)
        ids = torch.randint(5, self.pair.vocabulary, (batch, PROMPT_TOKENS), generator=draw).tolist()
        return [PairPrompt(tuple(row), tuple(row), PROMPT_TOKENS) for row in ids]

    def ids(self, batch: int) -> torch.Tensor:
        """[batch, prompt] on the device."""
        return torch.tensor([prompt.starting for prompt in self.prompts(batch)], device=self.pair.starting.model.device)


def random_pair(shape: dict, device: str, dtype: torch.dtype) -> Subject:
    first = random_llama(shape, device, dtype).model
    second = random_llama(shape, device, dtype).model
    with torch.no_grad():
        draw = torch.Generator(device).manual_seed(1)
        for parameter in second.model.parameters():
            noise = torch.randn(parameter.shape, generator=draw, device=device, dtype=dtype)
            parameter.add_(noise, alpha=0.2 * float(parameter.float().std().nan_to_num()))
    starting, comparison = (_endless(model) for model in (first, second))
    settings = TextSettings(max_new_tokens=NEW_TOKENS, batch_size=64)
    pair = Pair(Member(starting), Member(comparison), starting.model.config.vocab_size, "random weights")
    return Subject(starting.name, pair, settings)


def _endless(model: LoadedModel) -> LoadedModel:
    """Without a token that ends a text: every way writes all of its tokens."""
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.eos_token = None
    return replace(model, tokenizer=tokenizer)
