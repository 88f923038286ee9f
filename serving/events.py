"""A job's progress as server-sent events; it is read from the store, so any worker can tell it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from pydantic import BaseModel

from serving.answers import Job, RefusalError
from serving.jobs import LIVE, JobStore

POLL_S = 0.15
KEEP_ALIVE_S = 15.0


async def events(store: JobStore, name: str) -> AsyncIterator[bytes]:
    """The job as it is now, then each change, up to its end.

    Yields:
        Events `progress` {state, progress}, `segments` {segments}, and last `done`, `failed` or `cancelled` with the
        whole job.
    """
    told: Job | None = None
    spoken = time.monotonic()
    while True:
        try:
            job = store.get(name)
        except RefusalError:
            return  # it expired while someone listened
        if told is None or (job.state, job.progress) != (told.state, told.progress):
            yield _event("progress", job, {"state", "progress"})
            spoken = time.monotonic()
        if job.segments and (told is None or job.segments != told.segments):
            yield _event("segments", job, {"segments"})
        if job.state not in LIVE:
            yield _event(job.state, job, None)
            return
        if time.monotonic() - spoken > KEEP_ALIVE_S:
            yield b": still here\n\n"
            spoken = time.monotonic()
        told = job
        await asyncio.sleep(POLL_S)


def _event(name: str, data: BaseModel, include: set[str] | None) -> bytes:
    return f"event: {name}\ndata: {data.model_dump_json(include=include)}\n\n".encode()
