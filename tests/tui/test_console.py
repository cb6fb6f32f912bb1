"""The console driven by keys, against the real server on a real workspace."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from gpu_graph import Graph
from tui.app import ConsoleApp, farewell
from tui.screens.confirm import Confirm
from tui.screens.form import FormScreen
from tui.screens.log import LogScreen
from tui.screens.plan import PlanScreen
from tui.screens.runs import RunsScreen
from tui.screens.tasks import TasksScreen
from tui.widgets.painted import Painted

TALKER = "echo begin; until test -e more; do sleep 0.05; done; printf '10 %%\\r100 %%\\n\\033[31mred\\033[0m end\\n'; sleep 600"

RUN_FILE = '''"""Says a word several times."""
from typing import Literal
from gpu_graph import Graph

def build(count: int = 2, word: str = "hello", style: Literal["calm", "loud"] = "calm") -> Graph:
    graph = Graph("said")
    first = graph.shell("first", ["echo", word])
    for number in range(count):
        graph.shell(f"next_{number}", ["echo", style], after=[first], gpus=0)
    return graph
'''


def text(app: ConsoleApp) -> str:
    """What is on the screen."""
    return "\n".join(painted.text for painted in app.screen.query(Painted))


class Driver:
    """A pilot that waits for what it wants to see."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s; on the screen is:\n{text(self.app)}"
            await self.pilot.pause(0.02)

    async def see(self, *words: str) -> None:
        await self.until(lambda: all(word in text(self.app) for word in words))

    async def at(self, screen: type) -> None:
        await self.until(lambda: isinstance(self.app.screen, screen))


@pytest.fixture
def console(bench):
    @asynccontextmanager
    async def opened(width: int = 80, height: int = 24):
        app = ConsoleApp(bench.work)
        async with app.run_test(size=(width, height)) as pilot:
            yield Driver(app, pilot)

    return opened


def two_tasks(name: str = "talk") -> Graph:
    graph = Graph(name)
    graph.shell("talker", TALKER)
    graph.shell("after_it", "true", after=["talker"], gpus=0)
    return graph


async def test_an_empty_workspace_says_the_next_key(console) -> None:
    async with console() as driver:
        await driver.see("No runs here yet", "a launches one")


async def test_runs_their_tasks_and_a_log_that_follows(bench, console) -> None:
    bench.submit(two_tasks())
    async with console() as driver:
        await driver.see("R talk", "0/2", "R talker", "Q after_it", "needs talker")
        await driver.press("enter")
        await driver.see("TASKS", "R talker", "└─ after_it", "GPU 0")
        await driver.press("enter")
        await driver.at(LogScreen)
        await driver.see("attempt 1", "begin", "following")
        (bench.work / "more").touch()
        await driver.see("100 %", "red end", "3 lines")
        assert "10 %" not in text(driver.app).replace("100 %", "")
        await driver.press("up", "g")
        await driver.see("line 3")
        await driver.press("G")
        await driver.see("following")
        await driver.press("q", "backspace")
        await driver.at(RunsScreen)


async def test_on_a_wide_terminal_the_log_stands_beside_the_tasks(bench, console) -> None:
    bench.submit(two_tasks())
    async with console(140, 40) as driver:
        await driver.see("R talk")
        await driver.press("enter")
        await driver.see("TASKS", "talker", "begin")
        await driver.press("down")
        await driver.see("Not started.")


async def test_cancelling_asks_first_and_no_is_the_default(bench, console) -> None:
    run = bench.submit(two_tasks())
    async with console() as driver:
        await driver.see("R talker")
        await driver.press("x")
        await driver.at(Confirm)
        await driver.see("Cancel the run talk?", "1 task that runs now", "1 waiting task will not start")
        await driver.press("enter")
        await driver.at(RunsScreen)
        assert bench.status(run)["state"] == "running"
        await driver.press("x")
        await driver.at(Confirm)
        await driver.press("y")
        await driver.see("C talk", "2/2")
        assert set(bench.states(run).values()) == {"cancelled"}
        await driver.press("x")
        await driver.see("cancel: the run has ended (cancelled)")


async def test_cancelling_one_task_leaves_the_others(bench, console) -> None:
    graph = two_tasks()
    graph.shell("other", "sleep 600")
    run = bench.submit(graph)
    async with console() as driver:
        await driver.see("R other")
        await driver.press("enter")
        await driver.see("TASKS", "R talker")
        await driver.press("x")
        await driver.see("Cancel the task talker?", "after_it")
        await driver.press("y")
        await driver.see("C talker", "R other")
        await asyncio.to_thread(bench.until, lambda: bench.states(run)["talker"] == "cancelled", "it is cancelled")


async def test_cancelling_a_service_tells_apart_what_runs_with_it_and_what_waits_for_it(bench, console) -> None:
    graph = Graph("served")
    server = "exec python -m http.server --bind 127.0.0.1 @{port}"
    judge = graph.service("judge", server, ready="/", gpus=0)
    graph.shell("uses_it", "sleep 600", after=[judge], gpus=0)
    graph.shell("wants_it", "true", after=[judge, "uses_it"], gpus=0)
    bench.submit(graph)
    async with console() as driver:
        await driver.see("R served")
        await driver.press("enter")
        await driver.see("ready at", "├─ uses_it")
        await driver.press("x")
        await driver.see("Cancel the task judge?", "will be skipped: wants_it.", "goes on without it: uses_it.")
        await driver.press("y")
        await driver.see("C judge", "R ├─ uses_it", "S └─ wants_it")


async def test_a_run_is_launched_from_its_form_after_a_look_at_the_plan(bench, console) -> None:
    (bench.work / "runs" / "say.py").write_text(RUN_FILE)
    bench.run_file("broken", "def build(: pass")
    async with console() as driver:
        await driver.see("No runs here yet")
        await driver.press("a")
        await driver.see("say.py", "Says a word several times.", "! broken.py")
        await driver.press("down", "enter")
        await driver.see("it is not valid Python")
        await driver.press("up", "enter")
        await driver.at(FormScreen)
        await driver.see("count", "word", "style", "calm or loud")
        await driver.press("x")
        await driver.see("'2x' is not a whole number", "1 of 3 values to mend")
        await driver.press("ctrl+r")
        await driver.see("count: '2x' is not a whole number")
        await driver.press("backspace", "backspace", "3", "ctrl+r")
        await driver.at(PlanScreen)
        await driver.see("4 tasks: first, 3 next", "└─ next_2", "1 GPU", "echo hello", "Nothing has started")
        assert not list((bench.work / "logs").iterdir())
        await driver.press("enter")
        await driver.at(RunsScreen)
        await driver.see("D said", "4/4")
        run = driver.app.screen.table.key
        assert bench.states(run) == {"first": "succeeded", "next_0": "succeeded", "next_1": "succeeded", "next_2": "succeeded"}


async def test_a_graph_that_cannot_run_is_told_and_not_started(bench, console) -> None:
    bench.run_file("greedy", 'def build():\n    g = Graph("greedy")\n    g.shell("big", "true", gpus=9)\n    return g\n')
    bench.run_file("faulty", "def build():\n    return 1 / 0\n")
    async with console() as driver:
        await driver.press("a")
        await driver.see("greedy.py", "faulty.py")
        await driver.press("enter", "ctrl+r")
        await driver.see("PLAN", "It cannot run here", "needs 9 GPUs")
        await driver.press("enter")
        await driver.see("it cannot run here; q goes back")
        await driver.press("q", "escape", "down", "enter", "ctrl+r")
        await driver.see("division by zero")
        assert not list((bench.work / "logs").iterdir())


async def test_devices_name_their_holders(bench, console) -> None:
    bench.submit(two_tasks())
    async with console() as driver:
        await driver.see("R talk", "GPUs 1/4 busy")
        await driver.press("4")
        await driver.see("DEVICES", "4 × pretend GPU 80 G, 1 busy", "4 CPU slots", "GPU 0", "talker", "free")
        await driver.press("enter")
        await driver.at(LogScreen)
        await driver.see("begin")
        await driver.press("1")
        await driver.at(RunsScreen)


async def test_help_lists_the_keys_of_its_screen_and_why_some_are_off(bench, console) -> None:
    async with console() as driver:
        await driver.see("No runs here yet")
        await driver.press("question_mark")
        await driver.see("HELP", "launch", "start a run", "not now: there is nothing to cancel")
        await driver.press("G")
        await driver.see("not run: an earlier result holds")
        await driver.press("q")
        await driver.at(RunsScreen)


async def test_a_lost_server_is_told_and_found_again(bench, console) -> None:
    run = bench.submit(two_tasks())
    async with console() as driver:
        await driver.see("R talk")
        bench.kill_server()
        await driver.see("no server since", "Tasks go on", "R talk")
        await driver.press("x")
        await driver.see("cancel: there is no server to ask")
        await driver.press("S")
        await driver.until(lambda: driver.app.connected)
        await driver.see("RUNS", "R talk", "R talker")
        assert bench.status(run)["state"] == "running"


async def test_what_happens_elsewhere_is_shown(bench, console) -> None:
    async with console() as driver:
        await driver.see("No runs here yet")
        run = bench.submit(two_tasks("elsewhere"))
        await driver.see("R elsewhere")
        bench.cancel(run)
        await driver.see("C elsewhere")


async def test_hostile_output_does_not_reach_the_terminal(bench, console) -> None:
    bench.shell("printf 'before \\033]0;owned\\007\\033[2Jafter \\302\\2332J \\342\\200\\256evil\\n'; sleep 600")
    async with console() as driver:
        await driver.see("R one")
        await driver.press("enter", "enter")
        await driver.see("before after  \\u202eevil")


async def test_leaving_says_what_goes_on_and_how_to_come_back(bench, console) -> None:
    run = bench.submit(two_tasks())
    async with console() as driver:
        await driver.see("R talk")
        await driver.press("q")
        await driver.until(lambda: driver.app.return_value == 0)
        assert farewell(driver.app.world) == "1 run goes on: talk. tiller  re-attaches."
    assert bench.status(run)["state"] == "running"


@pytest.mark.parametrize("size", [(60, 16), (300, 90), (20, 5)])
async def test_every_screen_draws_at_every_size(bench, console, size) -> None:
    bench.submit(two_tasks())
    (bench.work / "runs" / "say.py").write_text(RUN_FILE)
    async with console(*size) as driver:
        await driver.until(lambda: driver.app.world.runs)
        for keys in (("enter",), ("enter",), ("1", "4"), ("1", "question_mark"), ("q", "a"), ("enter",), ("ctrl+r",)):
            await driver.press(*keys)
            await driver.pilot.pause()
        await driver.at(PlanScreen)
        await driver.pilot.resize_terminal(100, 30)
        await driver.see("PLAN")
        await driver.press("q", "escape", "q", "enter")
        await driver.at(TasksScreen)
        await driver.see("talker")


async def test_what_failed_shows_its_last_line(bench, console) -> None:
    bench.ended(bench.shell("echo ok; printf '\\033[31mCUDA out of memory\\033[0m\\n\\n'; exit 3"))
    async with console() as driver:
        await driver.see("F one", "exit 3")
        await driver.press("enter")
        await driver.see("F task", "last line  CUDA out of memory")


async def test_a_server_that_cannot_start_says_why(bench, console, monkeypatch) -> None:
    monkeypatch.setenv("TILLER_FAKE_GPUS", "many")
    async with console() as driver:
        await driver.see("no server since", "TILLER_FAKE_GPUS='many'", "S tries again")
        monkeypatch.setenv("TILLER_FAKE_GPUS", "2")
        await driver.press("S")
        await driver.see("No runs here yet", "GPUs 0/2 busy")


async def test_a_run_that_was_removed_leaves_the_list(bench, console) -> None:
    gone, kept = bench.shell("true"), bench.shell("true")
    bench.ended(gone), bench.ended(kept)
    async with console() as driver:
        await driver.see("1 of 2")
        shutil.rmtree(bench.folder(gone))
        await driver.press("down", "enter")
        await driver.until(lambda: gone not in driver.app.world.runs)


async def test_ctrl_c_explains_itself_and_leaves_when_pressed_twice(bench, console) -> None:
    run = bench.submit(two_tasks())
    async with console() as driver:
        await driver.see("R talk")
        await driver.press("ctrl+c")
        await driver.see("q leaves, and so does ctrl+c twice")
        assert driver.app.return_value is None
        await driver.press("ctrl+c", "ctrl+c")
        await driver.until(lambda: driver.app.return_value == 0)
    assert bench.status(run)["state"] == "running"


async def test_long_lines_are_read_by_moving_sideways(bench, console) -> None:
    bench.ended(bench.shell("printf '%0100d' 7; echo ' the end'"))
    async with console() as driver:
        await driver.see("D one")
        await driver.press("enter", "enter")
        await driver.see("…", "0000000")
        await driver.press("l", "l")
        await driver.see("7 the end", "from column 41")
        await driver.press("h", "h")
        await driver.see("…")
