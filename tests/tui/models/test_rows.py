"""Rows, columns and words: what a person reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.actions import FOOTERS, Situation, actions_of, footer_of
from tui.models import chrome, devices, launch, plan, runs, tasks, words
from tui.models.columns import Column, Layout
from tui.models.text import Tone, clip, clip_spans, fit, wrap
from tui.models.world import Devices, Gpu, Run, Task, World

NOW = 1_000_000.0
ALL_COLUMNS = (runs.COLUMNS, tasks.COLUMNS, tasks.PREVIEW_COLUMNS, devices.COLUMNS, launch.FILE_COLUMNS, plan.COLUMNS)
texts = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0s"),
        (0.44, "0.4s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.7, "1m00"),
        (252, "4m12"),
        (3780, "1h03"),
        (187200, "2d04"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_a_growing_duration_changes_rarely_so_that_a_calm_screen_is_silent() -> None:
    assert len({words.growing(second) for second in range(60)}) == 6
    assert len({words.growing(600 + second) for second in range(60)}) == 1
    assert words.growing(3 * 3600 + 61) == "3h01"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3, "now"), (61, "1m"), (599, "9m"), (899, "10m"), (3599, "55m"), (3600, "1h"), (47 * 3600, "47h"), (172800, "2d")],
)
def test_ages(seconds: float, said: str) -> None:
    assert words.age(seconds) == said


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, "····"), (0.001, "▌···"), (0.5, "██··"), (0.6, "██▌·"), (0.999, "███▌"), (1, "████"), (7, "████")]
)
def test_a_bar_is_never_empty_when_begun_nor_full_before_the_end(share: float, drawn: str) -> None:
    assert "".join(text for text, _ in words.bar(share, 4, Tone.RUNNING)) == drawn


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ((), ""),
        (("a",), "GPU 0"),
        (("b", "a", "c"), "GPU 0-1, 5"),
        (("cpu-0",), "cpu"),
        (("cpu-0", "cpu-1"), "cpu ×2"),
        (("GPU-of-old",), "GPU-of-old"),
    ],
)
def test_devices_by_their_short_names(ids: tuple[str, ...], said: str) -> None:
    assert words.device_names(ids, {"a": 0, "b": 1, "c": 5}) == said


@given(texts, st.integers(0, 60))
def test_fitted_text_has_its_width(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(clip(text, width)) <= width


@given(st.lists(texts, max_size=5), st.integers(0, 60))
def test_clipped_spans_keep_to_their_width(parts: list[str], width: int) -> None:
    assert sum(cell_len(text) for text, _ in clip_spans([(part, Tone.PLAIN) for part in parts], width)) <= width


def test_wrapping_breaks_between_words_and_cuts_at_the_end() -> None:
    assert wrap("needs one two three four", 10, 2) == ["needs one", "two three…"]
    assert wrap("a" * 25, 10, 3) == ["a" * 10, "a" * 10, "a" * 5]


@pytest.mark.parametrize("columns", ALL_COLUMNS)
@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 300])
def test_tables_fit_every_width(columns: tuple[Column, ...], width: int) -> None:
    layout = Layout.fitted(columns, width)
    assert cell_len(layout.head().text) <= width - 1
    shown = {index for index, _ in layout.widths}
    assert shown >= {index for index, column in enumerate(columns) if not column.drop}


def task(state: str, **more: object) -> Task:
    return Task("t", state, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_task", "said"),
    [
        (task("waiting", reason="needs vectors"), "needs vectors"),
        (task("running"), "running"),
        (task("running", reason="being cancelled"), "being cancelled"),
        (task("succeeded"), "done"),
        (task("failed", exit_code=1), "exit 1"),
        (task("failed", exit_code=1, reason="CUDA out of memory"), "exit 1: CUDA out of memory"),
        (task("skipped", reason="vectors failed"), "skipped: vectors failed"),
        (task("timed_out", reason="after 2 s"), "timed out: after 2 s"),
        (task("lost", reason="its supervisor\x1b[2J died"), "lost: its supervisor\\x1b[2J died"),
    ],
)
def test_states_in_words(given_task: Task, said: str) -> None:
    assert tasks.state_words(given_task) == said


def test_a_task_needs_a_service_until_that_answers() -> None:
    waiting = task("waiting", after=("judge",), reason="needs 1 GPU, 0 of 4 free")
    world = World(Path("/ws"))

    def said(judge: Task) -> str:
        return "".join(text for text, _ in tasks.cells(waiting, "", {"judge": judge}, world, NOW)[2])

    assert said(task("running")) == "needs judge"
    assert said(task("running", url="http://127.0.0.1:4000")) == "needs 1 GPU, 0 of 4 free"


def test_every_task_state_has_a_letter() -> None:
    assert [words.task_letter(state)[0] for state in ("waiting", "running", "succeeded", "cached", "failed")] == list("QRD=F")


def some_run(name: str, state: str = "running", created: float = NOW, **counts: int) -> Run:
    return Run(
        name,
        name,
        state,
        "host",
        Path("/w"),
        counts or {"running": 1},
        created,
        None if state == "running" else created + 5,
        True,
    )


def test_what_goes_on_comes_first_then_the_newest() -> None:
    world = World(Path("/w"))
    for run in (some_run("old", created=1), some_run("done", "succeeded", created=9), some_run("new", created=5)):
        world.runs[run.id] = run
    assert runs.order(world) == ["new", "old", "done"]


def test_a_failure_is_the_red_end_of_its_bar() -> None:
    cells = runs.cells(some_run("r", "failed", succeeded=3, failed=1), NOW)
    bar = cells[2]
    assert [(len(text), tone) for text, tone in bar] == [(15, Tone.DONE), (5, Tone.FAILED), (0, Tone.DONE)]  # type: ignore[misc]


def test_the_preview_shows_failures_first() -> None:
    world = World(Path("/w"))
    world.runs["r"] = run = some_run("r")
    world.tasks["r"] = {
        "a": Task("a", "succeeded"),
        "b": Task("b", "waiting"),
        "c": Task("c", "failed"),
        "d": Task("d", "running"),
    }
    shown = [line.text[3] for line in runs.preview(world, run, NOW, 80, 9)[3:]]
    assert shown == ["c", "d", "b", "a"]


def test_the_header_keeps_the_minute_and_gives_up_the_rest() -> None:
    world = World(Path("/w"), devices=Devices((Gpu("g", 0, "x", 1, 0, 0, 0, 0, None),)))
    for width in (20, 40, 60, 80, 120):
        shown = chrome.header(["host", "run", "task"], world, [some_run("r", failed=2)], NOW, width).text
        assert cell_len(shown) <= width
        assert shown.rstrip().endswith(words.clock(NOW))
    assert "GPUs 0/1 busy" in shown
    assert "fail 2" in shown


@pytest.mark.parametrize("context", FOOTERS)
def test_a_footer_names_at_most_six_actions_that_the_screen_has(context: str) -> None:
    assert len(footer_of(context)) <= 6
    for width in (60, 80, 120):
        assert cell_len(chrome.footer(footer_of(context), Situation(), width).text) <= width


@pytest.mark.parametrize("context", [*FOOTERS, "confirm"])
def test_no_key_means_two_actions_on_one_screen(context: str) -> None:
    keys = [key for action in actions_of(context) for key in action.keys]
    assert len(keys) == len(set(keys))


def test_no_action_takes_a_key_of_multiplexers_or_flow_control() -> None:
    keys = {key for context in FOOTERS for action in actions_of(context) for key in action.keys}
    assert not keys & {"ctrl+b", "ctrl+a", "ctrl+s", "ctrl+q", "ctrl+z", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m"}


def test_an_action_that_cannot_be_done_says_why() -> None:
    cancel = next(action for action in actions_of("tasks") if action.id == "cancel")
    assert cancel.why_not(Situation(some_run("r"), Task("t", "running"))) is None
    assert cancel.why_not(Situation(some_run("r"), Task("t", "timed_out"))) == "the task has ended (timed out)"
    assert cancel.why_not(Situation(some_run("r", "failed"))) == "the run has ended (failed)"
    assert cancel.why_not(Situation(some_run("r"), connected=False)) == "there is no server to ask"


def test_a_gpu_shows_what_it_says_and_dots_for_what_it_does_not() -> None:
    run = "20261120-103455-caa-demo-1a2b"
    says = Gpu("GPU-1", 0, "NVIDIA H100", 80 * 2**30, 61 * 2**30, 91, 64, 588.4, (run, "apply_layer13"))
    silent = Gpu("GPU-2", 1, "NVIDIA H100", 80 * 2**30, None, None, None, None, None)
    known = Devices((says, silent), (("cpu-0", 0, (run, "score")), ("cpu-1", 1, None)), "host")
    layout = Layout.fitted(devices.COLUMNS, 80)
    shown = [layout.row(devices.cells(known, key)).text.rstrip() for key in devices.keys(known)]
    assert shown == [
        " R  GPU 0  ███████▌  91 % ██████··  61 G   64   588  apply_layer13  caa-demo",
        " ·  GPU 1  ·              ·                 ·     ·  free",
        " R  cpu 0                                            score  caa-demo",
        " ·  cpu 1                                            free",
    ]
    assert devices.headline(known) == "2 × NVIDIA H100 80 G, 1 busy   2 CPU slots, 1 busy"
