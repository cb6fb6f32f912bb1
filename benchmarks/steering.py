"""What tiller's steering costs and saves, beside the patterns of the original repositories and the libraries of the field.

Prints a section of Markdown; `--record` also appends it to RESULTS.md. `python benchmarks/steering.py` takes about eight
minutes; `--device cuda` measures a Llama of 1.2 G random weights in bfloat16 instead, parts a and b.
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
from steering_parts import erasing, overhead, recording, sweep
from steering_parts.subjects import LARGE, MULTIPLIERS, SMALL, Subject, demo, random_llama
from steering_parts.timing import forget_memory, peak_memory

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
PARTS = "abcd"
_OVERHEADS = [("one layer", "unsteered"), ("all layers", "unsteered"), ("unsteered", "generate"), ("all layers", "generate")]


def measure_sweep(subjects: list[Subject], options: argparse.Namespace) -> Iterator[str]:
    yield f"(a) {sweep.SAMPLES} samples × 25 prompts × {len(MULTIPLIERS)} multipliers, at most {sweep.NEW_TOKENS} new tokens,"
    yield "temperature 1.5, top-k 50, top-p 0.9. One by one = one call of `generate` per sample at batch 1 under a hook; rows"
    yield f"spread over all are timed in each round, and scaled up. tiller runs all of them, {options.batch_size} to a batch.\n"
    yield "| | rows | timed one by one | one by one, all | tiller, all | tokens/s | times as fast | greedy rows identical |"
    yield "|---|---|---|---|---|---|---|---|"
    for subject in subjects:
        calls = options.calls or (90 if subject.stops else 18)
        forget_memory()
        times, rows, tokens = sweep.compare(subject, options.rounds, calls, options.batch_size)
        memory = peak_memory()
        same, compared = sweep.identical(subject, 5, options.batch_size)
        alone, together = times.median("one by one"), times.median("tiller")
        gain = f"**{times.ratio('one by one', 'tiller'):.1f}** ({times.spread('one by one', 'tiller')})"
        speed = f"{alone:.0f} s | {together:.1f} s | {tokens / together:.0f}"
        yield f"| {subject.name}{memory} | {rows} | {calls} | {speed} | {gain} | {same} of {compared} |"


def measure_overhead(subjects: list[Subject], options: argparse.Namespace) -> Iterator[str]:
    yield f"(b) Greedy, prompts of 32 tokens, {overhead.NEW_TOKENS} new: the median of the rounds' ratios (least – most).\n"
    yield "| | batch | one layer / unsteered | all layers / unsteered | unsteered / `generate` | all layers / `generate` |"
    yield "|---|---|---|---|---|---|"
    batches = (1, 20) if options.device == "cpu" else (1, 20, 256)
    for subject in subjects:
        for batch in batches:
            times = overhead.compare(subject, batch, options.overhead_rounds)
            cells = [f"{times.ratio(*pair):.3f} ({times.spread(*pair)})" for pair in _OVERHEADS]
            yield f"| {subject.name} | {batch} | " + " | ".join(cells) + " |"


def measure_recording(subjects: list[Subject], options: argparse.Namespace) -> Iterator[str]:
    library = recording.peer()
    yield f"(c) States at the last token, all layers; {recording.TEXTS} texts of 40 to 119 tokens, batch {recording.BATCH}.\n"
    yield "| | texts/s | share of the forward passes' speed | times as fast as steering-vectors | difference, relative |"
    yield "|---|---|---|---|---|"
    for subject in subjects:
        times, difference = recording.compare(subject, library, options.rounds + 2)
        speed = recording.TEXTS / times.median("tiller")
        limit = f"{times.ratio('forward only', 'tiller'):.3f} ({times.spread('forward only', 'tiller')})"
        peer = f"**{times.ratio('steering-vectors', 'tiller'):.2f}** ({times.spread('steering-vectors', 'tiller')})"
        yield f"| {subject.name} | {speed:.0f} | {limit} | {peer} | {difference:.0e} |"


def measure_erasing(options: argparse.Namespace) -> Iterator[str]:
    yield f"(d) LEACE of two classes, hidden {erasing.WIDTH}, float64: fit and erase. The dense fit is timed once per size.\n"
    yield "| examples | concept-erasure | tiller | times as fast | difference, relative |"
    yield "|---|---|---|---|---|"
    for examples in options.examples:
        found = erasing.compare(examples, options.rounds)
        dense, ours = found.times.median("concept-erasure"), found.times.median("tiller")
        yield f"| {examples} | {dense:.1f} s | {ours:.3f} s | **{dense / ours:.0f}** | {found.difference:.0e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=_parts, default=PARTS, help="which of a, b, c, d, in one word (ad)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overhead-rounds", type=int, default=15, help="rounds of part b, whose work is short")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--calls", type=int, help="rows that are timed one by one in a round of part a")
    parser.add_argument("--examples", type=int, nargs="+", default=[256, 2000], help="sizes of part d")
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


def _parts(text: str) -> str:
    if not text or not set(text) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"{text!r} is not some of the letters {PARTS} in one word")
    return text


def _section(options: argparse.Namespace) -> Iterator[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "concept-erasure"))
    place = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} threads of {os.cpu_count()} cores"
    load = f"load {os.getloadavg()[0]:.1f}"
    yield f"## Steering, {datetime.datetime.now().astimezone().date()}\n"
    yield f"Python {platform.python_version()}, {versions}; {place}, {load} at the start. The ways took turns.\n"
    if options.device == "cuda":
        subjects = [random_llama(LARGE, "cuda", torch.bfloat16)]
        parts = [part for part in options.parts if part in "ab"]
    else:
        subjects = [demo(), random_llama(SMALL, "cpu", torch.float32)]
        parts = list(options.parts)
    measures = {
        "a": lambda: measure_sweep(subjects, options),
        "b": lambda: measure_overhead(subjects, options),
        "c": lambda: measure_recording(subjects, options),
        "d": lambda: measure_erasing(options),
    }
    for part in parts:
        yield from measures[part]()
        yield f"\nLoad afterwards: {os.getloadavg()[0]:.1f}.\n"


if __name__ == "__main__":
    main()
