"""Telling subscribers of tasks whose progress file has grown. Looks only while somebody listens."""

from __future__ import annotations

import asyncio

from gpu_graph.server.host import Host

_LOOK_SECONDS = 1.0


async def watch_progress(host: Host) -> None:
    """For ever; `host.publisher` gets a change for each running task that has said more since the last look."""
    seen: dict[tuple[str, str, int], int] = {}
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if not host.publisher.watched:
            continue
        sizes: dict[tuple[str, str, int], int] = {}
        for run_id, task_id, number in host.scheduler.held:
            run = host.runs.get(run_id)
            try:
                if run is not None:
                    sizes[run_id, task_id, number] = run.attempt(task_id, number).file("progress").stat().st_size
            except OSError:
                continue  # it has told nothing yet, or its folder cannot be reached now
        for key, size in sizes.items():
            if seen.get(key) != size:
                host.publisher.publish(key[0], key[1])
        seen = sizes
