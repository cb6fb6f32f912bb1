"""The local executor: attempts as processes of this host, each under a small sh supervisor in a session of its own.

Owns processes and the attempt's files (`<attempt>.log`, `.pid`, `.exit`). It knows nothing of graphs: it is told to start,
adopt, stop or watch an attempt and reports scheduler events. Supervisors are reaped by pidfd, without polling; /proc is
scanned only while something is being stopped or quarantined.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gpu_graph.process import attempt_processes, parse_stat, signal_process, start_ticks
from gpu_graph.scheduler import AttemptEnded, AttemptNeverStarted, AttemptStarted, AttemptVacated, Event

GRACE_SECONDS = 10.0
"""Between TERM and KILL."""

_SCRIPT = Path(__file__).with_name("supervisor.sh").read_text()  # passed as text, so that an upgrade cannot change it midway
_CLAIM = "claimed by a later server\n"
_CLAIM_WAIT_SECONDS = 5.0
_SCAN_SECONDS = 0.1

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
    """An attempt that this server looks after. supervisor: its pid while it lives."""

    attempt: Attempt
    supervisor: int | None = None
    descriptor: int | None = None
    stop_deadline: float | None = None  # on the monotonic clock, set once stopping
    lost: bool = False


class LocalExecutor:
    """Starts, adopts, stops and watches attempts; `report` is called in the event loop with what became of them."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report
        self._watched: dict[Key, _Watched] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def start(self, attempt: Attempt, argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> None:
        """Spawn the supervisor. A spawn that the system refuses is a failed attempt with the reason."""
        try:
            pid = _spawn(attempt, argv, env, cwd)
        except (OSError, ValueError) as error:
            self._report(AttemptEnded(*attempt.key, 126, time.time(), f"could not be started: {error}"))
            return
        self._watched[attempt.key] = _Watched(attempt)
        self._report(AttemptStarted(*attempt.key, pid, start_ticks(pid) or 0, time.time()))
        self._watch(attempt, pid)

    async def adopt(self, attempt: Attempt, *, same_boot: bool) -> None:
        """Find out what became of an attempt that an earlier server intended or started; watch it if it lives."""
        attempt.base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        pid_file = attempt.file("pid")
        try:
            descriptor = os.open(pid_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w") as claim:
                claim.write(_CLAIM)
            self._report(AttemptNeverStarted(*attempt.key, time.time()))
            return
        claim_text = await _complete_line(pid_file)
        if claim_text == _CLAIM:
            self._report(AttemptNeverStarted(*attempt.key, time.time()))
            return
        self._watched[attempt.key] = _Watched(attempt)
        try:
            pid, began = int(claim_text.split()[0]), parse_stat(claim_text)
        except (ValueError, IndexError):
            pid, began = 0, None  # the supervisor died while it wrote its first line
        if same_boot and began is not None and start_ticks(pid) == began:
            self._report(AttemptStarted(*attempt.key, pid, began, pid_file.stat().st_mtime))
            self._watch(attempt, pid, began)
        else:
            self._gone(attempt.key)

    def stop(self, attempt: Attempt) -> None:
        """TERM to every process of the attempt, KILL after the grace; the end is reported when none lives."""
        watched = self._watched.setdefault(attempt.key, _Watched(attempt))
        if watched.stop_deadline is None:
            watched.stop_deadline = time.monotonic() + GRACE_SECONDS
            for pid in attempt_processes([attempt.id])[attempt.id]:
                signal_process(pid, attempt.id, signal.SIGTERM)
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
        try:
            watched.descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._gone(attempt.key)
            return
        watched.supervisor = pid
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
            _reap(watched.supervisor)
            watched.supervisor = None
        if watched.stop_deadline is None:
            self._report_end(watched)

    def _report_end(self, watched: _Watched) -> None:
        del self._watched[watched.attempt.key]
        exit_file = watched.attempt.file("exit")
        try:
            text = exit_file.read_text()
            ended_at = exit_file.stat().st_mtime
        except FileNotFoundError:
            text, ended_at = "", time.time()
        if text.endswith("\n"):
            self._report(AttemptEnded(*watched.attempt.key, int(text), ended_at))
        else:
            reason = "its supervisor was killed before it could write an exit status"
            self._report(AttemptEnded(*watched.attempt.key, None, ended_at, reason))

    def _sweep(self) -> None:
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep_until_clear())

    async def _sweep_until_clear(self) -> None:
        while pending := {w.attempt.id: w for w in self._watched.values() if w.stop_deadline is not None or w.lost}:
            living = await asyncio.to_thread(attempt_processes, pending)
            for attempt_id, watched in pending.items():
                if self._watched.get(watched.attempt.key) is watched:
                    self._sweep_one(watched, living[attempt_id])
            await asyncio.sleep(_SCAN_SECONDS)

    def _sweep_one(self, watched: _Watched, living: set[int]) -> None:
        if watched.lost:
            if not living:
                del self._watched[watched.attempt.key]
                self._report(AttemptVacated(*watched.attempt.key, time.time()))
            return
        assert watched.stop_deadline is not None
        if not living and watched.supervisor is None:
            self._report_end(watched)
        elif time.monotonic() > watched.stop_deadline:
            # The supervisor goes last, so that it can write down how its command ended.
            for pid in living - {watched.supervisor} or living:
                signal_process(pid, watched.attempt.id, signal.SIGKILL)


def _spawn(attempt: Attempt, argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> int:
    attempt.base.parent.mkdir(mode=0o700, exist_ok=True)
    log = os.open(attempt.file("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _SCRIPT, "tiller-supervisor", str(attempt.base), cwd, *argv],
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM),
        )
    finally:
        os.close(log)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # an adopted supervisor is not our child


async def _complete_line(path: Path) -> str:
    """The file's first line, waiting a little for a writer that has just created it; what there is if it never comes."""
    deadline = time.monotonic() + _CLAIM_WAIT_SECONDS
    while not (text := path.read_text()).endswith("\n") and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return text
