"""Logs by offset: any page of any file is what splitting the whole file would give, without ever reading it whole."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.models import log_file
from tui.models.log_file import LogFile
from tui.models.log_window import LogWindow

contents = st.lists(st.sampled_from([b"\n", b"a", b"line", b"\r", b"x" * 9, b"\n\n"]), max_size=60).map(b"".join)


def opened(path: Path) -> LogFile:
    log = LogFile(path)
    log.refresh()
    return log


def lines_of(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=contents, count=st.integers(1, 12), block=st.integers(1, 7))
def test_pages_from_both_ends_are_the_lines_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, count: int, block: int
) -> None:
    monkeypatch.setattr(log_file, "_BLOCK", block)  # borders everywhere
    path = tmp_path / "log"
    path.write_bytes(data)
    log = opened(path)
    lines = lines_of(data)
    assert [line.raw for line in log.before(len(data), count)] == lines[-count:]
    assert [line.raw for line in log.after(0, count)] == lines[:count]
    for line in log.after(0, 1000):
        following = log.after(line.start, 2)
        assert following[0] == line
        assert [found.raw for found in log.before(line.start, 2)] == lines_of(data[: line.start])[-2:]
    log.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=contents, chunk=st.integers(1, 9))
def test_the_sparse_index_numbers_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, chunk: int) -> None:
    monkeypatch.setattr(log_file, "_CHUNK", chunk)
    path = tmp_path / "log"
    path.write_bytes(data)
    log = opened(path)
    while log.extend_index(0.0):
        pass
    assert [log.number_of(line.start) for line in log.after(0, 1000)] == list(range(1, len(lines_of(data)) + 1))
    log.close()


def test_a_file_that_grows_is_seen_and_one_that_does_not_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(path)
    assert not log.refresh()
    assert not log.exists
    path.write_bytes(b"a\n")
    assert log.refresh()
    assert not log.refresh()
    with path.open("ab") as file:
        file.write(b"b")
    assert log.refresh()
    assert [line.raw for line in log.before(log.size, 5)] == [b"a", b"b"]


def test_a_replaced_or_cut_file_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\n" * 10)
    log = opened(path)
    other = tmp_path / "other"
    other.write_bytes(b"new\n")
    other.rename(path)
    assert log.refresh()
    assert [line.raw for line in log.before(log.size, 5)] == [b"new"]
    os.truncate(path, 0)
    assert log.refresh()
    assert log.before(log.size, 5) == []


def test_of_a_very_long_line_only_a_part_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"short\n" + b"x" * 3_000_000 + b"\nlast\n")
    short, long, last = opened(path).after(0, 5)
    assert (short.raw, last.raw) == (b"short", b"last")
    assert len(long.raw) == log_file.LONGEST
    assert long.cut == 3_000_000 - log_file.LONGEST


def test_of_a_long_progress_line_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%d %%\r" % n for n in range(100_000)))
    (line,) = opened(path).after(0, 5)
    assert line.raw.endswith(b"99999 %\r")
    assert len(line.raw) <= log_file.LONGEST


@pytest.fixture
def hundred(tmp_path: Path) -> LogWindow:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(1, 101)))
    window = LogWindow(path, 10)
    window.look()
    window.file.extend_index(1.0)
    return window


def seen(window: LogWindow) -> tuple[bytes, bytes]:
    lines = window.shown().lines
    return lines[0].raw, lines[-1].raw


def test_a_window_begins_at_the_end_and_follows_it(hundred: LogWindow) -> None:
    assert seen(hundred) == (b"line 91", b"line 100")
    with hundred.file.path.open("ab") as file:
        file.write(b"line 101\n")
    hundred.look()
    assert seen(hundred) == (b"line 92", b"line 101")


def test_moving_up_holds_the_window_still_while_the_file_grows(hundred: LogWindow) -> None:
    hundred.move(-5)
    with hundred.file.path.open("ab") as file:
        file.write(b"line 101\n")
    hundred.look()
    hundred.file.extend_index(1.0)
    assert seen(hundred) == (b"line 86", b"line 95")
    assert (hundred.shown().number, hundred.shown().below) == (95, 6)


@pytest.mark.parametrize(
    ("moves", "ends"),
    [
        ([-5, 3], (b"line 89", b"line 98")),
        ([-1000], (b"line 1", b"line 10")),
        ([-5, 1000], (b"line 91", b"line 100")),
        ([-100, 10], (b"line 11", b"line 20")),
    ],
)
def test_moves(hundred: LogWindow, moves: list[int], ends: tuple[bytes, bytes]) -> None:
    for move in moves:
        hundred.move(move)
    assert seen(hundred) == ends
    assert not hundred.follow


def test_first_and_last(hundred: LogWindow) -> None:
    hundred.first()
    assert seen(hundred) == (b"line 1", b"line 10")
    hundred.last()
    assert seen(hundred) == (b"line 91", b"line 100")
    assert hundred.follow


def test_a_line_without_its_newline_counts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo")
    window = LogWindow(path, 10)
    window.look()
    window.file.extend_index(1.0)
    assert (window.shown().number, window.shown().total) == (2, 2)
