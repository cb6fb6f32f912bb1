"""(a) 20 samples × 25 prompts × 9 multipliers: one call of `generate` per sample under a hook, as the originals do, or one
batch of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.forward import Steering
from engine.generation import Row, generate
from engine.hooks import edited
from engine.sampling import Sampling, row_seed
from steering_parts.subjects import MULTIPLIERS, Subject
from steering_parts.timing import Times, seconds_of

SAMPLES, NEW_TOKENS = 20, 50
SAMPLED = Sampling(NEW_TOKENS, temperature=1.5, top_k=50, top_p=0.9)
GREEDY = Sampling(NEW_TOKENS, temperature=0)


def rows_of(subject: Subject, samples: int) -> list[Row]:
    return [
        Row(prompt, row_seed(0, str(number), sample, multiplier), arm)
        for number, prompt in enumerate(subject.prompts)
        for sample in range(samples)
        for arm, multiplier in enumerate(MULTIPLIERS)
    ]


def steering_of(subject: Subject) -> Steering:
    return Steering([{subject.site: multiplier * subject.vector} for multiplier in MULTIPLIERS], "completion")


def one_call(subject: Subject, row: Row, sampling: Sampling) -> list[int]:
    """The originals' pattern: batch 1, a forward hook that adds m·v from the last prompt token on, `generate`."""
    model = subject.model
    pushed = (MULTIPLIERS[row.arm] * subject.vector).to(model.device, model.model.dtype)
    first, past = len(row.prompt) - 1, 0

    def push(h: Tensor) -> Tensor:
        nonlocal past
        start, past = max(0, first - past), past + h.shape[1]
        h[:, start:] += pushed
        return h

    ids = torch.tensor([row.prompt], device=model.device)
    choice = (
        {"do_sample": True, "temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
        if sampling.temperature
        else {"do_sample": False}
    )
    with edited(model, {subject.site: push}), torch.no_grad():
        found = model.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=sorted(subject.stops) or None,
            pad_token_id=0,
            **choice,
        )
    return found[0, len(row.prompt) :].tolist()


def compare(subject: Subject, rounds: int, calls: int, batch_size: int) -> tuple[Times, int, int]:
    """Seconds of all rows each way (one by one: `calls` rows, another part in each round, scaled up), rows, tokens written."""
    rows, steering, times, tokens = rows_of(subject, SAMPLES), steering_of(subject), Times(), 0
    one_call(subject, rows[0], SAMPLED)
    list(generate(subject.model, rows[:9], SAMPLED, steering, batch_size, subject.stops))
    for round_ in range(rounds):
        part = [rows[(number * len(rows)) // calls + 7 * round_] for number in range(calls)]
        alone = seconds_of(lambda part=part: [one_call(subject, row, SAMPLED) for row in part])
        times.add("one by one", alone * len(rows) / calls)
        found: list = []
        together = seconds_of(
            lambda found=found: found.extend(generate(subject.model, rows, SAMPLED, steering, batch_size, subject.stops))
        )
        times.add("tiller", together)
        tokens = sum(len(completion.ids) for _, completion in found)
    return times, len(rows), tokens


def identical(subject: Subject, prompts: int, batch_size: int) -> tuple[int, int]:
    """Greedy rows whose tokens are those of `one_call`, and how many were compared."""
    rows = rows_of(subject, 1)[: prompts * len(MULTIPLIERS)]
    found = dict(generate(subject.model, rows, GREEDY, steering_of(subject), batch_size, subject.stops))
    same = 0
    for index, row in enumerate(rows):
        alone = one_call(subject, row, GREEDY)
        same += [token for token in alone if token not in subject.stops] == list(found[index].ids)
    return same, len(rows)
