"""The real program in a pseudo-terminal, judged by an emulator: what is drawn, what it costs, and how the terminal is left."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path

import pyte
import pytest

from gpu_graph import Graph
from tests.conftest import TILLER, living


class Screen(pyte.Screen):
    """pyte trips over private SGR sequences, which mean nothing on its screen."""

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        if not private:
            super().select_graphic_rendition(*attributes)


class Terminal:
    """A pseudo-terminal with tiller in it. Leaving the block closes it."""

    def __init__(self, work: Path, width: int = 80, height: int = 24) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
                os.chdir(work)
                os.execve(TILLER, [str(TILLER)], {**os.environ, "TERM": "xterm-256color"})
            finally:
                os._exit(127)
        self.screen = Screen(width, height)
        self.stream = pyte.ByteStream(self.screen)
        self.sent = b""
        self.code: int | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def read(self, seconds: float) -> bytes:
        """What comes within so many seconds."""
        came, end = b"", time.monotonic() + seconds
        while self.fd >= 0 and (left := end - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:  # EIO: nobody holds the other end any more
                    break
                came += data
                self.stream.feed(data)
        self.sent += came
        return came

    def see(self, *words: str, seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not all(word in self.text for word in words):
            assert time.monotonic() < end, f"{words} not seen; on the screen is:\n{self.text}"
            self.read(0.05)

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def ended(self, seconds: float) -> int | None:
        """Its exit status, within so many seconds, or None."""
        end = time.monotonic() + seconds
        while self.code is None and time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            self.read(0.05)
        return self.code

    def assert_given_back(self) -> None:
        assert b"\x1b[?1049l" in self.sent, "the alternate screen is not left"
        assert termios.tcgetattr(self.fd)[3] & termios.ECHO, "the terminal does not echo"
        assert termios.tcgetattr(self.fd)[3] & termios.ICANON, "the terminal is left raw"
        assert not self.screen.cursor.hidden

    def hang_up(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@pytest.fixture
def sleeper(bench):
    graph = Graph("show-me")
    graph.shell("sleeper_task", "echo hello from the task; sleep 600")
    return bench.submit(graph)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 45)])
def test_open_look_leave_and_come_back(bench, sleeper, width: int, height: int) -> None:
    with Terminal(bench.work, width, height) as terminal:
        terminal.see("show-me", "sleeper_task")
        assert b"\x1b[?1049h" in terminal.sent
        terminal.press("\r\r")
        terminal.see("hello from the task", "following")
        terminal.press("q")
        terminal.see("TASKS")
        terminal.press("q")
        terminal.see("RUNS")
        terminal.press("q")
        assert terminal.ended(5) == 0
        terminal.assert_given_back()
        assert b"1 run goes on: show-me. tiller  re-attaches." in terminal.sent.split(b"\x1b[?1049l")[1]
    assert bench.status(sleeper)["state"] == "running"
    with Terminal(bench.work, width, height) as terminal:
        terminal.see("R show-me")


def test_an_idle_screen_is_silent(bench) -> None:
    bench.ended(bench.shell("true"))
    with Terminal(bench.work) as terminal:
        terminal.see("D one", "D task", "GPUs 0/4")
        while terminal.read(1.2):  # the last of the first drawings; the timer's second is over
            continue
        while not 5 <= time.time() % 60 < 55:  # the clock in the header turns with the minute, and is drawn a moment later
            terminal.read(0.5)
        idle = terminal.read(3)
        assert len(idle) < 60, f"{len(idle) / 3:.0f} B/s: {idle[:300]!r}"


def test_no_mouse_and_no_title_are_asked_for(bench, sleeper) -> None:
    with Terminal(bench.work) as terminal:
        terminal.see("show-me")
        assert b"\x1b[?1000h" not in terminal.sent
        assert b"\x1b]0;" not in terminal.sent


def test_without_colour_no_colour_is_sent(bench, sleeper, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal(bench.work) as terminal:
        terminal.see("R show-me")
        colours = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()}
        assert colours <= {"default"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(bench, sleeper, number: signal.Signals) -> None:
    with Terminal(bench.work) as terminal:
        terminal.see("show-me")
        os.kill(terminal.pid, number)
        assert terminal.ended(3) == 128 + number
        terminal.assert_given_back()
    assert bench.status(sleeper)["state"] == "running"


def test_a_stalled_terminal_does_not_keep_the_process(bench, sleeper) -> None:
    with Terminal(bench.work) as terminal:
        terminal.see("show-me")
        for _ in range(400):  # nobody reads: the terminal's buffer fills, and the app blocks in the middle of a frame
            if not select.select([], [terminal.fd], [], 0)[1]:
                break
            terminal.press("?q")
        os.kill(terminal.pid, signal.SIGTERM)
        deadline = time.monotonic() + 4
        while living(terminal.pid) and time.monotonic() < deadline:
            select.select([], [], [], 0.05)
        assert not living(terminal.pid)


def test_a_closed_terminal_ends_the_console_and_nothing_else(bench, sleeper) -> None:
    with Terminal(bench.work) as terminal:
        terminal.see("show-me")
        terminal.hang_up()
        bench.until(lambda: not living(terminal.pid), "the console has ended", 4)
    assert bench.status(sleeper)["state"] == "running"


def test_it_leaves_at_once_while_the_server_does_not_answer(bench, sleeper) -> None:
    with Terminal(bench.work) as terminal:
        terminal.see("show-me", "sleeper_task")
        server = bench.server_pid()
        os.kill(server, signal.SIGSTOP)
        try:
            terminal.press("\x1b[B4")
            terminal.see("DEVICES")
            terminal.press("qq")
            assert terminal.ended(5) == 0
        finally:
            os.kill(server, signal.SIGCONT)


def test_what_a_run_file_prints_does_not_land_on_the_screen(bench) -> None:
    bench.run_file(
        "noisy",
        """
        import sys
        def build():
            print("noise on stdout")
            print("noise on \\033[2Jstderr", file=sys.stderr)
            g = Graph("noisy")
            g.shell("quiet_task", "true")
            return g
        """,
    )
    with Terminal(bench.work) as terminal:
        terminal.see("No runs here yet")
        terminal.press("a")
        terminal.see("noisy.py")
        terminal.press("\r\x12")
        terminal.see("PLAN", "quiet_task")
        assert b"noise" not in terminal.sent
        terminal.press("q\x1b")
        terminal.see("choose a run file")
        terminal.press("1q")
        assert terminal.ended(5) == 0
        after = terminal.sent.split(b"\x1b[?1049l")[1]
        assert b"noise on stderr" in after
