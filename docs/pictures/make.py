"""Make the pictures of the console from the real program: run it beside this file's checkout, with rsvg-convert installed.

    python docs/pictures/make.py

It starts the demo experiment in a temporary workspace, on a server of its own with four pretend GPUs, opens the console on
it, presses keys, and writes what is on the screen: `console.png` (the tasks while they run, the log of one beside them) and
`log.png` (the log of the curve's task, when all has ended). Nothing in them is staged but the terminal's size.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.cells import cell_len
from textual.pilot import Pilot

from tui.app import ConsoleApp
from tui.models.world import Task

HERE = Path(__file__).parent
RUN_FILE = "20261120_caa_demo.py"
PATIENCE = 300.0
CELL = 12.2
"""The width of a cell in a drawing of Textual's. A character of DejaVu Sans Mono is 0.602 of its font size wide."""


def main() -> int:
    if shutil.which("rsvg-convert") is None:
        print("rsvg-convert is missing; on Debian: apt-get install librsvg2-bin fonts-dejavu-core", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="tiller-pictures-") as folder:
        work = Path(folder) / "demo"
        for name in ("runs", "logs", "artifacts"):
            (work / name).mkdir(parents=True)
        shutil.copy(HERE.parents[1] / "runs" / RUN_FILE, work / "runs")
        os.environ.update(TILLER_STATE_DIR=f"{folder}/state", TILLER_FAKE_GPUS="4")
        os.chdir(work)
        tiller = str(Path(sys.executable).with_name("tiller"))
        subprocess.run([tiller, "run", f"runs/{RUN_FILE}", "--detach"], check=True)
        try:
            asyncio.run(take(work))
        finally:
            subprocess.run([tiller, "server", "stop", "--cancel"], check=False)
    return 0


async def take(work: Path) -> None:
    app = ConsoleApp(work)
    async with app.run_test(size=(120, 28)) as pilot:

        async def until(condition: Callable[[], bool]) -> None:
            deadline = time.monotonic() + PATIENCE
            while not condition():
                if time.monotonic() > deadline:
                    raise TimeoutError("the demo run did not come so far")
                await pilot.pause(0.1)

        await until(lambda: bool(app.world.runs))
        run = next(iter(app.world.runs))
        await pilot.press("enter")
        await until(lambda: "apply_agree" in app.world.tasks.get(run, {}))
        await choose(pilot, "apply_agree")
        await until(lambda: any(half_done(task) for task in app.world.tasks[run].values()))
        await picture(pilot, "console.png")
        await until(lambda: not app.world.runs[run].active)
        await pilot.resize_terminal(90, 40)
        await choose(pilot, "plot_agree")
        await pilot.press("enter")
        await pilot.pause(2.0)
        await picture(pilot, "log.png")


def half_done(task: Task) -> bool:
    return task.progress is not None and 0.2 < task.progress.share < 0.9


async def choose(pilot: Pilot[int], task: str) -> None:
    """Put the cursor on a task."""
    table = pilot.app.screen.table  # type: ignore[attr-defined]
    table.go_to(task)
    await pilot.pause(2.0)


async def picture(pilot: Pilot[int], name: str) -> None:
    """What is on the screen as PNG."""
    write_png(pilot.app.export_screenshot(title="tiller"), name)


def write_png(drawn: str, name: str) -> None:
    """An SVG of a terminal, as rich draws it, as PNG beside this file."""
    drawn = drawn.replace("Fira Code", "DejaVu Sans Mono").replace("font-size: 20px", f"font-size: {CELL / 0.602:g}px")
    drawn = re.sub(r'(<text [^>]*?)x="([\d.]+)"([^>]*?) textLength="[\d.]+"([^>]*)>([^<]*)</text>', in_cells, drawn)
    done = subprocess.run(["rsvg-convert", "--zoom", "0.8"], input=drawn.encode(), stdout=subprocess.PIPE, check=True)
    (HERE / name).write_bytes(done.stdout)
    print(f"{name}: {len(done.stdout) / 1000:.0f} kB")


def in_cells(text: re.Match[str]) -> str:
    """A text as one element for each word of ASCII and each other character, every one at the place of its cell.

    rsvg-convert knows no textLength, and glyphs that another font lends have other widths.
    """
    before, left, middle, after, content = text.groups()
    parts: list[str] = []
    at = 0
    for word in re.findall(r"[!-~]+|.", html.unescape(content)):
        if not word.isspace():
            parts.append(f'{before}x="{float(left) + CELL * at:g}"{middle}{after}>{html.escape(word)}</text>')
        at += cell_len(word)
    return "".join(parts)


if __name__ == "__main__":
    sys.exit(main())
