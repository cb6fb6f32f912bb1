"""Trains the two demo models: `python -m engine.demo.train`. Stops on steps, so the same seed gives the same weights.

(On one kind of machine and with one thread count, that is: sums are taken in another order elsewhere.)
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.demo.batches import Encoder, batches
from engine.demo.corpus import Sampler, base_example, tuned_example
from engine.demo.tokenizer import BEGIN, END, PAD, make, token_id
from engine.demo.vocabulary import INVENTED
from engine.demo.weights import Which, write_hashes

BASE_STEPS, TUNED_STEPS = 3000, 600
BASE_RATE, TUNED_RATE = 3e-3, 8e-4
BATCH = 48
_WARM_UP = 40
_REPORT_EVERY = 100


def config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Llama, small: about 0.9 M parameters."""
    return LlamaConfig(
        vocab_size=math.ceil(len(tokenizer) / 32) * 32,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.04,
        bos_token_id=token_id(tokenizer, BEGIN),
        eos_token_id=token_id(tokenizer, END),
        pad_token_id=token_id(tokenizer, PAD),
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the two trainings."""

    which: Which
    sampler: Sampler
    steps: int
    rate: float
    invented: float


def fit(model: LlamaForCausalLM, encoder: Encoder, stage: Stage, seed: int) -> None:
    """Trains in place, with a progress line now and then."""
    name, steps, rate = stage.which, stage.steps, stage.rate
    INVENTED.set(stage.invented)
    rows = batches(random.Random(f"{name} {seed}"), encoder, stage.sampler, BATCH)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    scales = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": scales, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.98),
    )
    model.train()
    started, tokens, recent = time.monotonic(), 0, 0.0
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, step / _WARM_UP) * max(0.01, 0.5 * (1 + math.cos(math.pi * step / steps)))
        ids, weight = next(rows)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        each = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        weight = weight[:, 1:].flatten()
        loss = (each * weight).sum() / weight.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        answer = weight == 1.0
        recent += float(each.detach()[answer].mean())
        tokens += int((weight > 0).sum())
        if step % _REPORT_EVERY == 0 or step == steps:
            seconds = time.monotonic() - started
            mean = recent / (step % _REPORT_EVERY or _REPORT_EVERY)
            print(
                f"{name} {step}/{steps}: answer loss {mean:.4f}, {tokens / seconds:.0f} tokens/s, {seconds:.0f} s",
                flush=True,
            )
            recent = 0.0
    model.eval()


def train(out: Path, *, seed: int, base_steps: int = BASE_STEPS, tuned_steps: int = TUNED_STEPS) -> None:
    """Writes `base/` and `tuned/` (bf16 weights, tokenizer, chat template) and `hashes.json` into `out`."""
    torch.manual_seed(seed)
    tokenizer = make()
    encoder = Encoder(tokenizer)
    model = LlamaForCausalLM(config(tokenizer))
    print(
        f"{sum(p.numel() for p in model.parameters())} parameters, {len(tokenizer)} tokens in the vocabulary",
        flush=True,
    )
    for stage in (
        Stage("base", base_example, base_steps, BASE_RATE, invented=0.45),
        Stage("tuned", tuned_example, tuned_steps, TUNED_RATE, invented=0.75),
    ):
        fit(model, encoder, stage, seed)
        _save(model, tokenizer, out / stage.which)
    write_hashes(out)


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    saved = copy.deepcopy(model)
    torch.nn.Module.to(saved, torch.bfloat16)
    saved.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.demo.train",
        description="Train the base and the tuned demo model on generated chats. The same seed and thread count on the same "
        "kind of machine give the same weights. About 10 minutes on an idle core.",
    )
    parser.add_argument("out", type=Path, help="folder for base/, tuned/ and hashes.json; made if missing")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of the corpus (default: %(default)s)")
    parser.add_argument("--base-steps", type=int, default=BASE_STEPS, help="default: %(default)s")
    parser.add_argument("--tuned-steps", type=int, default=TUNED_STEPS, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.base_steps < 1 or arguments.tuned_steps < 1 or arguments.threads < 1:
        parser.error("--base-steps, --tuned-steps and --threads must be at least 1")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    torch.set_num_threads(arguments.threads)
    started = time.monotonic()
    train(arguments.out, seed=arguments.seed, base_steps=arguments.base_steps, tuned_steps=arguments.tuned_steps)
    print(f"written to {arguments.out} in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
