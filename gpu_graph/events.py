"""The scheduler's vocabulary: events tell what happened, actions what to do about it. Plain frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_graph.state import Record, RunState

# --- events: what happened ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunAdded:
    """A new run, or one replayed from its journal. `allowed`: the device ids it may use, or None.

    All replayed runs must come in one call of `handle`: what the last one holds must be known before the first one starts more.
    """

    run: RunState
    at: float
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The attempt's supervisor lives."""

    run_id: str
    task_id: str
    attempt: int
    pid: int
    pid_start: int
    at: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The attempt's supervisor is gone. exit_code None: it left no exit status, so what became of the work is unknown.

    vacated: it was looked for, and no process of the attempt lives.
    """

    run_id: str
    task_id: str
    attempt: int
    exit_code: int | None
    at: float
    reason: str | None = None
    vacated: bool = False


@dataclass(frozen=True, slots=True)
class AttemptNeverStarted:
    """An intent of an earlier server that it never carried out: the task waits again and no retry is spent."""

    run_id: str
    task_id: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class AttemptVacated:
    """No process of a lost attempt lives any more, so its devices are free again."""

    run_id: str
    task_id: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The attempt has run for its timeout."""

    run_id: str
    task_id: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class ServiceReady:
    """The service answers as it should, on its port, from a process of this attempt."""

    run_id: str
    task_id: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class ServiceUnfit:
    """The service lives but cannot be used, for this reason. hopeless: it would be the same if it were started again."""

    run_id: str
    task_id: str
    attempt: int
    at: float
    reason: str
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A person wants these tasks, or with None the whole run, to end."""

    run_id: str
    task_ids: tuple[str, ...] | None
    at: float


Event = (
    RunAdded
    | AttemptStarted
    | AttemptEnded
    | AttemptNeverStarted
    | AttemptVacated
    | DeadlinePassed
    | ServiceReady
    | ServiceUnfit
    | CancelRequested
)

# --- actions: what the edge must do ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write:
    """Append this record to the run's journal."""

    run_id: str
    record: Record


@dataclass(frozen=True, slots=True)
class Start:
    """Start this attempt on these devices."""

    run_id: str
    task_id: str
    attempt: int
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adopt:
    """Find out what became of this attempt, which an earlier server started, and watch over it."""

    run_id: str
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End every process of this attempt: TERM, grace, KILL."""

    run_id: str
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Watch a lost attempt until no process of it lives, then report AttemptVacated."""

    run_id: str
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Every task of the run has ended, and it holds no device any more."""

    run_id: str


Action = Write | Start | Adopt | Stop | Quarantine | RunEnded
