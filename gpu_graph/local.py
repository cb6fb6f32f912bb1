"""The local executor: attempts as processes of this host, each under a small sh supervisor in a session of its own.

Owns processes and the attempt's files (`<attempt>.log`, `.pid`, `.exit`). It knows nothing of graphs: it is told to start,
adopt, stop or watch an attempt and reports scheduler events. Supervisors are reaped by pidfd, without polling; /proc is
scanned only while something is being stopped or quarantined.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gpu_graph.events import AttemptEnded, AttemptNeverStarted, AttemptStarted, AttemptVacated, Event
from gpu_graph.process import GRACE_SECONDS, attempt_processes, parent, parse_stat, signal_process, start_ticks

COULD_NOT_START = 126
"""The exit code of an attempt whose command could not be run at all, as shells have it."""

_SCRIPT = Path(__file__).with_name("supervisor.sh").read_text()  # passed as text, so that an upgrade cannot change it midway
_CLAIM = "claimed by a later server\n"
_CLAIM_WAIT_SECONDS = 5.0
_SCAN_SECONDS = 0.1
_IDLE_SCAN_SECONDS = 2.0
"""Between looks at /proc while something is being stopped, and while lost attempts are only waited for."""

_AGAIN_SECONDS = 1.0
"""Between tries at something that the system refused for now: a full disk, no file descriptor left."""

log = logging.getLogger("tiller.server")

Key = tuple[str, str, int]
"""run id, task id, attempt number."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a task. base: the path of its files, without suffix."""

    key: Key
    base: Path

    @property
    def id(self) -> str:
        """Its `TILLER_ATTEMPT_ID`."""
        run_id, task_id, number = self.key
        return f"{run_id}/{task_id}/{number}"

    def file(self, suffix: str) -> Path:
        return self.base.with_name(f"{self.base.name}.{suffix}")


@dataclass(slots=True)
class _Watched:
    """An attempt that this server looks after. supervisor: its pid while it lives.

    stop_deadline: when KILL follows TERM, on the monotonic clock; set once stopping. adopting: what became of it is still
    being found out, so no end may be concluded yet. status: what the system said of a supervisor that was our child. told:
    the processes that had their TERM.
    """

    attempt: Attempt
    supervisor: int | None = None
    descriptor: int | None = None
    stop_deadline: float | None = None
    adopting: bool = False
    lost: bool = False
    status: int | None = None
    told: set[int] = field(default_factory=lambda: set())


class LocalExecutor:
    """Starts, adopts, stops and watches attempts; `report` is called in the event loop with what became of them."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report
        self._watched: dict[Key, _Watched] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._sweep_now = asyncio.Event()
        self._adoptions: set[asyncio.Task[None]] = set()

    def start(self, attempt: Attempt, argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> None:
        """Spawn the supervisor. A spawn that the system refuses is a failed attempt with the reason."""
        try:
            pid = _spawn(attempt, argv, env, cwd)
        except (OSError, ValueError) as error:
            self._report(AttemptEnded(*attempt.key, COULD_NOT_START, time.time(), f"could not be started: {error}"))
            return
        self._watched[attempt.key] = _Watched(attempt)
        self._report(AttemptStarted(*attempt.key, pid, start_ticks(pid) or 0, time.time()))
        self._watch(attempt, pid)

    def adopt(self, attempt: Attempt, *, same_boot: bool) -> None:
        """Find out what became of an attempt that an earlier server intended or started; watch it if it lives."""
        watched = self._watched[attempt.key] = _Watched(attempt, adopting=True)  # now, so that a stop that follows finds it
        adoption = asyncio.get_running_loop().create_task(self._adopt(watched, same_boot))
        self._adoptions.add(adoption)
        adoption.add_done_callback(self._adoptions.discard)

    async def _adopt(self, watched: _Watched, same_boot: bool) -> None:
        while True:
            try:
                line = await _claim_or_read(watched.attempt)
                break
            except OSError as error:
                log.error("attempt %s cannot be adopted yet: %s", watched.attempt.id, error)
                await asyncio.sleep(_AGAIN_SECONDS)
        watched.adopting = False
        key = watched.attempt.key
        if line == _CLAIM and same_boot:
            del self._watched[key]
            self._report(AttemptNeverStarted(*key, time.time()))
            return
        # From here on it may have run. After a reboot a missing file says nothing: the machine went down before it was on disk.
        try:
            pid, began = int(line.split()[0]), parse_stat(line)
        except (ValueError, IndexError):
            pid, began = 0, None  # claimed, or the supervisor died while it wrote its first line
        if began is not None:
            self._report(AttemptStarted(*key, pid, began, _changed_at(watched.attempt.file("pid"))))
        if same_boot and began is not None and start_ticks(pid) == began:
            self._watch(watched.attempt, pid, began)
        else:
            self._gone(key)

    def stop(self, attempt: Attempt) -> None:
        """TERM to every process of the attempt, KILL after the grace; the end is reported when none lives."""
        watched = self._watched.setdefault(attempt.key, _Watched(attempt))
        if watched.stop_deadline is None:
            watched.stop_deadline = time.monotonic() + GRACE_SECONDS
        self._sweep()

    def quarantine(self, attempt: Attempt) -> None:
        """Report AttemptVacated once no process of the lost attempt lives."""
        self._watched.setdefault(attempt.key, _Watched(attempt)).lost = True
        self._sweep()

    def close(self) -> None:
        """Stop watching; the attempts go on, for the next server to adopt."""
        if self._sweeper:
            self._sweeper.cancel()
        for watched in self._watched.values():
            self._unwatch(watched)

    def _watch(self, attempt: Attempt, pid: int, began: int | None = None) -> None:
        watched = self._watched[attempt.key]
        watched.supervisor = pid
        try:
            watched.descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._gone(attempt.key)
            return
        except OSError as error:  # no file descriptor or memory left
            log.error("attempt %s cannot be watched yet: %s", attempt.id, error)
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._watch, attempt, pid, began)
            return
        if began is not None and start_ticks(pid) != began:  # it ended, and its pid was given away, before we opened it
            self._gone(attempt.key)
            return
        asyncio.get_running_loop().add_reader(watched.descriptor, self._gone, attempt.key)

    def _unwatch(self, watched: _Watched) -> None:
        if watched.descriptor is not None:
            asyncio.get_running_loop().remove_reader(watched.descriptor)
            os.close(watched.descriptor)
            watched.descriptor = None

    def _gone(self, key: Key) -> None:
        """The supervisor has ended. A stopping attempt has ended only when all of its processes have: the sweep says so."""
        watched = self._watched[key]
        self._unwatch(watched)
        if watched.supervisor is not None:
            watched.status = _reap(watched.supervisor)
            watched.supervisor = None
        if watched.stop_deadline is None:
            self._report_end(watched)

    def _report_end(self, watched: _Watched, *, vacated: bool = False) -> None:
        key = watched.attempt.key
        if self._watched.get(key) is not watched:
            return
        try:
            end = _end_of(watched, vacated)
        except OSError as error:
            log.error("the end of attempt %s cannot be read yet: %s", watched.attempt.id, error)
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, lambda: self._report_end(watched, vacated=vacated))
            return
        del self._watched[key]
        self._report(end)

    def _sweep(self) -> None:
        self._sweep_now.set()
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep_until_clear())

    async def _sweep_until_clear(self) -> None:
        while pending := {w.attempt.id: w for w in self._watched.values() if w.stop_deadline is not None or w.lost}:
            self._sweep_now.clear()
            living = await asyncio.to_thread(attempt_processes, pending)
            if quiet := [attempt_id for attempt_id, pids in living.items() if not pids]:
                # Once more: a process can fork past the look at it. Two looks in a row must find nothing.
                living |= await asyncio.to_thread(attempt_processes, quiet)
            for attempt_id, watched in pending.items():
                if self._watched.get(watched.attempt.key) is watched:
                    self._sweep_one(watched, living[attempt_id])
            hurry = any(watched.stop_deadline is not None for watched in pending.values())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sweep_now.wait(), _SCAN_SECONDS if hurry else _IDLE_SCAN_SECONDS)

    def _sweep_one(self, watched: _Watched, living: set[int]) -> None:
        if not living and watched.supervisor is None and not watched.adopting:
            if watched.lost:
                del self._watched[watched.attempt.key]
                self._report(AttemptVacated(*watched.attempt.key, time.time()))
            else:
                self._report_end(watched, vacated=True)
        elif watched.stop_deadline is None:
            return  # lost, and nobody asked for its end
        elif time.monotonic() > watched.stop_deadline:
            # The supervisor goes last, so that it can write down how its command ended.
            for pid in living - {watched.supervisor} or living:
                signal_process(pid, watched.attempt.id, signal.SIGKILL)
        else:
            self._tell_to_end(watched, living)

    def _tell_to_end(self, watched: _Watched, living: set[int]) -> None:
        """TERM to those that have not had it: a process can be forked past the look at its parent.

        A child of a process that has had its TERM and lives on is left alone: it may be how that one tidies up.
        """
        tidying = watched.told & living - {watched.supervisor}
        for pid in living - watched.told:
            if parent(pid) not in tidying:
                signal_process(pid, watched.attempt.id, signal.SIGTERM)
                watched.told.add(pid)


def _end_of(watched: _Watched, vacated: bool) -> AttemptEnded:
    """What the supervisor left, or, when the disk was too full for that, what the system says of it. Raises OSError."""
    attempt, status = watched.attempt, watched.status
    exit_file, pid_file = attempt.file("exit"), attempt.file("pid")
    text = _read_if_there(exit_file)
    if text.endswith("\n"):
        return AttemptEnded(*attempt.key, int(text), _changed_at(exit_file), vacated=vacated)
    if status is not None and status >= 0 and not _read_if_there(pid_file).endswith("\n"):
        reason = f"could not be started: its supervisor ended before it had written {pid_file}"
        return AttemptEnded(*attempt.key, COULD_NOT_START, time.time(), reason, vacated)
    if status is not None and status >= 0:
        return AttemptEnded(*attempt.key, status, time.time(), vacated=vacated)
    reason = "its supervisor was killed before it could write an exit status"
    return AttemptEnded(*attempt.key, None, time.time(), reason, vacated)


def _spawn(attempt: Attempt, argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> int:
    attempt.base.parent.mkdir(mode=0o700, exist_ok=True)
    output = os.open(attempt.file("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _SCRIPT, "tiller-supervisor", str(attempt.base), cwd, *argv],
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM),
        )
    finally:
        os.close(output)


def _reap(pid: int) -> int | None:
    """Its exit status, negative for the signal that killed it; None for an adopted supervisor, which is not our child."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if reaped else None


async def _claim_or_read(attempt: Attempt) -> str:
    """`_CLAIM` when the attempt never started and, from now on, never will; else the line that its supervisor wrote.

    Waits a little for a supervisor that has just created the file; gives what there is if its line never comes.
    """
    path = attempt.file("pid")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        deadline = time.monotonic() + _CLAIM_WAIT_SECONDS
        while not (text := path.read_text()).endswith("\n") and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return text
    with os.fdopen(descriptor, "w") as file:
        file.write(_CLAIM)
    return _CLAIM


def _read_if_there(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime
