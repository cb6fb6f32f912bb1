"""Who is told what changed: subscribers, each with the set of things it has not heard of yet.

An event says that a run or a task changed; its content is looked up when it is sent. So a slow reader's backlog is a set of
names that cannot outgrow its runs, and past LIMIT it is replaced by one snapshot. Events carry a rising `seq`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

Changed = tuple[str, str | None]
"""run id, and a task id or None for the run itself."""

LIMIT = 5_000
_REMEMBERED = 50_000


class Subscriber:
    """One reader. run_id: the only run that it wants to hear of, or None for all."""

    def __init__(self, run_id: str | None) -> None:
        self.run_id = run_id
        self.needs_snapshot = False
        self._changed: dict[Changed, None] = {}
        self._woken = asyncio.Event()

    def offer(self, changed: Changed) -> None:
        if self.run_id in (None, changed[0]):
            self._changed[changed] = None
            if len(self._changed) > LIMIT:
                self.demand_snapshot()
            self._woken.set()

    def demand_snapshot(self) -> None:
        self._changed.clear()
        self.needs_snapshot = True
        self._woken.set()

    async def take(self) -> tuple[list[Changed], bool]:
        """Wait for news; returns it in the order of first change, and whether a snapshot must come before it."""
        await self._woken.wait()
        self._woken.clear()
        changed, self._changed = list(self._changed), {}
        snapshot, self.needs_snapshot = self.needs_snapshot, False
        return changed, snapshot


class Publisher:
    """The sequence of changes, and its subscribers."""

    def __init__(self) -> None:
        # Microseconds since the epoch, so that a reader which resumes with the seq of an earlier server is never taken for one
        # of this server's: it is told everything.
        self.seq = time.time_ns() // 1000
        self._recent: deque[tuple[int, Changed]] = deque(maxlen=_REMEMBERED)
        self._subscribers: set[Subscriber] = set()

    @property
    def watched(self) -> bool:
        return bool(self._subscribers)

    def publish(self, run_id: str, task_id: str | None) -> None:
        self.seq += 1
        changed = (run_id, task_id)
        self._recent.append((self.seq, changed))
        for subscriber in self._subscribers:
            subscriber.offer(changed)

    def subscribe(self, run_id: str | None, from_seq: int | None) -> Subscriber:
        """from_seq: the last seq that the reader knows; without one, or when it is too old, it first gets a snapshot."""
        subscriber = Subscriber(run_id)
        oldest = self._recent[0][0] if self._recent else self.seq + 1
        if from_seq is None or not oldest - 1 <= from_seq <= self.seq:
            subscriber.demand_snapshot()
        else:
            for seq, changed in self._recent:
                if seq > from_seq:
                    subscriber.offer(changed)
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
