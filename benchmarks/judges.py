"""How fast many completions come from a slow and faulty server: tiller's client beside what one writes without it.

Prints a table; nothing is kept. `python benchmarks/judges.py` takes some minutes; `--memory` measures the memory of 50,000
requests instead. The server is a process of its own on loopback: tests/servers/chat_server.py.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import openai

from engine.data import Message
from engine.remote.client import replies
from engine.remote.types import Endpoint, Request, Usage

ROOT = Path(__file__).resolve().parent.parent
CONCURRENCY = 200
TIMEOUT = 3.0
MODEL = "test-model"
MARKS = (10_000, 50_000)


@contextmanager
def serving(*options: str) -> Iterator[str]:
    command = [sys.executable, str(ROOT / "tests/servers/chat_server.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def one_at_a_time(url: str, count: int) -> int:
    """A loop around the library's client, with the library's own retries; a reply that is none is a failure."""
    answered = 0
    with openai.OpenAI(base_url=url, api_key="none", timeout=TIMEOUT) as client:
        for number in range(count):
            try:
                reply = client.chat.completions.create(model=MODEL, messages=_messages(number), max_tokens=10)
                answered += isinstance(reply.choices[0].message.content, str)
            except (openai.OpenAIError, ValueError, TypeError, AttributeError):
                continue
    return answered


def gathered(url: str, count: int) -> int:
    """`asyncio.gather` around the library's client, with the library's own retries."""
    return asyncio.run(_gathered(url, count))


def tillers(url: str, count: int) -> int:
    requests = (Request((Message("user", f"question {number}"),), 10) for number in range(count))
    endpoint = Endpoint(url, MODEL, concurrency=CONCURRENCY, timeout=TIMEOUT)
    return sum(reply.text is not None for _, reply in _marked(replies(endpoint, requests, Usage())))


WAYS = {"one at a time": one_at_a_time, "asyncio.gather": gathered, "tiller": tillers}


def measure_speed(runs: int, requests: int, few: int) -> None:
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    failed: dict[str, list[float]] = {way: [] for way in WAYS}
    for run in range(runs):
        for way, ask in WAYS.items():
            count = few if ask is one_at_a_time else requests
            with serving("--delay", "0.2", "--faults", "0.2", "--seed", str(run)) as url:
                began = time.monotonic()
                answered = ask(url, count)
                speeds[way].append(answered / (time.monotonic() - began))
            failed[way].append(1 - answered / count)
    base = statistics.median(speeds["one at a time"])
    print("| | answers per second (median) | least – most | without an answer | times one at a time |\n|---|---|---|---|---|")
    for way, found in speeds.items():
        median, lost = statistics.median(found), statistics.mean(failed[way])
        print(f"| {way} | {median:.1f} | {min(found):.1f} – {max(found):.1f} | {lost:.1%} | {median / base:.1f} × |")


def measure_memory() -> None:
    print("| 50,000 requests, 20 % faults | resident after 10,000 | after 50,000 | seconds |\n|---|---|---|---|")
    for way in ("asyncio.gather", "tiller"):
        with serving("--faults", "0.2", "--kinds", "429", "500", "garbage", "drop") as url:
            began = time.monotonic()
            command = [sys.executable, __file__, "--child", way, url]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        marks = [int(line) / 2**20 for line in done.stdout.split()]
        print(f"| {way} | " + " | ".join(f"{mark:.0f} MiB" for mark in marks) + f" | {time.monotonic() - began:.0f} |")


def _messages(number: int) -> list:
    return [{"role": "user", "content": f"question {number}"}]


async def _gathered(url: str, count: int) -> int:
    gate, ended = asyncio.Semaphore(CONCURRENCY), 0

    async def one(number: int) -> bool:
        nonlocal ended
        try:
            async with gate:
                reply = await client.chat.completions.create(model=MODEL, messages=_messages(number), max_tokens=10)
            return isinstance(reply.choices[0].message.content, str)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return False
        finally:
            ended += 1
            _mark(ended)

    async with openai.AsyncOpenAI(base_url=url, api_key="none", timeout=TIMEOUT) as client:
        return sum(await asyncio.gather(*map(one, range(count))))


def _marked(arriving: Iterator) -> Iterator:
    for ended, one in enumerate(arriving, start=1):
        _mark(ended)
        yield one


def _mark(ended: int) -> None:
    """In a child that is measured: print the memory in use at the marks."""
    if MEASURED and ended in MARKS:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        print(resident, flush=True)


MEASURED = "--child" in sys.argv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=10_000, help="per run, of the ways that ask many at a time")
    parser.add_argument("--few", type=int, default=60, help="per run, one at a time")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("WAY", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        way, url = options.child
        WAYS[way](url, MARKS[-1])
        return
    versions = f"Python {platform.python_version()}, openai {version('openai')}"
    print(f"{versions}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    if options.memory:
        measure_memory()
    else:
        measure_speed(options.runs, options.requests, options.few)


if __name__ == "__main__":
    main()
