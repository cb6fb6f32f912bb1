"""What contrastive decoding costs: beside two plain cached forward passes, the original's pattern without a cache, and a logits
processor as a user would write it; and what the divergences cost.

Prints a section of Markdown; `--record` also appends it to RESULTS.md. `--device cuda` measures two Llamas of 1.2 G random
weights in bfloat16 instead.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from cd_parts.subjects import NEW_TOKENS, PROMPT_TOKENS, Subject, random_pair
from cd_parts.ways import WAYS
from steering_parts.subjects import LARGE, SMALL
from steering_parts.timing import Times, forget_memory, in_turns, peak_memory

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
_RATIOS = [  # title of the column, a way, and the way that its time is divided by
    ("tiller / two plain forwards", "tiller", "two plain forwards"),
    ("measured / unmeasured", "tiller", "tiller, unmeasured"),
    ("recomputed / tiller", "recomputed", "tiller"),
    ("logits processor / tiller", "logits processor", "tiller"),
]


def measure(subject: Subject, batches: list[int], rounds: int) -> Iterator[str]:
    yield f"Two of {subject.name}; prompts of {PROMPT_TOKENS} tokens, {NEW_TOKENS} new, drawn at temperature 1 under mask 0.1."
    yield "tiller keeps all divergences and the five likeliest tokens of both models, no other way any. Each cell is the median"
    yield "of the rounds' ratios (least – most). Aimed at: ≤ 1.10; ≤ 1.10; ≥ 3.5 at batch 1 and ≥ 10 at batch 8; ≥ 1.\n"
    yield "| batch | tiller, tokens/s | " + " | ".join(title for title, _, _ in _RATIOS) + " |"
    yield "|---|---|" + "---|" * len(_RATIOS)
    for batch in batches:
        forget_memory()
        times = in_turns({name: way(subject, batch) for name, way in WAYS.items()}, rounds)
        yield (
            f"| {batch}{peak_memory()} | {batch * NEW_TOKENS / times.median('tiller'):.0f} | "
            + " | ".join(_cells(times))
            + " |"
        )


def _cells(times: Times) -> Iterator[str]:
    for _, way, other in _RATIOS:
        yield f"**{times.ratio(way, other):.2f}** ({times.spread(way, other)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--record", action="store_true", help="append the section to RESULTS.md")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("not measured: no device")
    torch.set_num_threads(options.threads)
    lines: list[str] = []
    for line in _section(options):
        print(line, flush=True)
        lines.append(line)
    if options.record:
        with RESULTS.open("a", encoding="utf-8") as results:
            results.write("\n" + "\n".join(lines) + "\n")


def _section(options: argparse.Namespace) -> Iterator[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    place = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} threads of {os.cpu_count()} cores"
    load = f"load {os.getloadavg()[0]:.1f}"
    yield f"## Contrastive decoding, {datetime.datetime.now().astimezone().date()}\n"
    yield f"Python {platform.python_version()}, {versions}; {place}, {load} at the start. The ways took turns.\n"
    shape, dtype = (LARGE, torch.bfloat16) if options.device == "cuda" else (SMALL, torch.float32)
    yield from measure(random_pair(shape, options.device, dtype), options.batches, options.rounds)
    yield f"\nLoad afterwards: {os.getloadavg()[0]:.1f}.\n"


if __name__ == "__main__":
    main()
