"""A job's progress as server-sent events. It is read from the store, so any worker can stream any job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from pydantic import BaseModel

from serving.answers import Job, RefusalError
from serving.jobs.news import News
from serving.jobs.store import LIVE, JobStore

KEEP_ALIVE_S = 15.0


async def events(store: JobStore, news: News, name: str) -> AsyncIterator[bytes]:
    """The job's current state, then each change until it ends.

    Yields:
        Events `progress` {state, progress}, `segments` {segments}, and last `done`, `failed` or `cancelled` with the
        whole job; a comment after `KEEP_ALIVE_S` without an event.
    """
    sent: Job | None = None
    last = time.monotonic()
    with news.listen(name) as listener:
        while True:
            try:
                job = await asyncio.to_thread(store.get, name)
            except RefusalError:
                return  # it expired while the client was listening
            if sent is None or (job.state, job.progress) != (sent.state, sent.progress):
                yield _event("progress", job, {"state", "progress"})
                last = time.monotonic()
            if job.segments and (sent is None or job.segments != sent.segments):
                yield _event("segments", job, {"segments"})
                last = time.monotonic()
            if job.state not in LIVE:
                yield _event(job.state, job, None)
                return
            if time.monotonic() - last >= KEEP_ALIVE_S:
                yield b": keep-alive\n\n"
                last = time.monotonic()
            sent = job
            await listener.wait()


def _event(name: str, data: BaseModel, include: set[str] | None) -> bytes:
    return f"event: {name}\ndata: {data.model_dump_json(include=include)}\n\n".encode()
