"""Runs a worker's jobs.

A job is run by the worker that accepted it. If that worker dies, the next sweep by any other marks the job as failed.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from actreel.base.faults import log_error
from serving.answers import Prediction, Problem, RefusalError, Segment, Stage
from serving.jobs.news import News
from serving.jobs.store import VIDEO_FILE, JobStore, Result
from serving.uploads import SIGNAL_ENDINGS
from serving.workers.scratch import Scratch

log = logging.getLogger(__name__)

SLOTS = 2
"""Jobs that a worker runs at once: one can download while the other is decoded."""

SWEEP_S = 20.0
WRITE_S = 0.2


class Ticket:
    """A running job's handle: where its files are, how it reports progress, and whether it must stop.

    Attributes:
        name: The job's id.
        folder: The folder for its video and frames.
        stopped: Set when the job must stop.
    """

    def __init__(self, store: JobStore, name: str) -> None:
        self.name = name
        self.folder = store.folder(name)
        self.stopped = threading.Event()
        self._store = store
        self._stage: Stage | None = None
        self._written = 0.0
        self._writing: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        """Waits for the write under way."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def report(self, stage: Stage, fraction: float, segments: list[Segment]) -> None:
        """Reports progress, from the event loop; it is written a few times a second at most, a new stage always."""
        now = time.monotonic()
        writes = self._writing is not None and not self._writing.done()
        if stage == self._stage and (writes or now - self._written < WRITE_S):
            return
        self._stage, self._written = stage, now
        self._writing = asyncio.create_task(self._write(self._writing, stage, fraction, segments))

    async def _write(
        self, previous: asyncio.Task[None] | None, stage: Stage, fraction: float, segments: list[Segment]
    ) -> None:
        # One write at a time, or an older one could come last.
        if previous is not None:
            await asyncio.wait([previous])
        await asyncio.to_thread(self._store.progress, self.name, stage, fraction, segments)


Work = Callable[[Ticket], Awaitable[Result]]


class JobRunner:
    """Runs this worker's jobs, `SLOTS` at a time, in the order they came."""

    def __init__(self, store: JobStore, news: News, scratch: Scratch) -> None:
        self._store = store
        self._news = news
        self._scratch = scratch
        self._queue: asyncio.Queue[tuple[str, Work]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._unstored: set[str] = set()

    async def start(self) -> None:
        """Sweeps once, then starts the slots and the regular sweep."""
        await asyncio.to_thread(self._sweep)
        self._tasks = [asyncio.create_task(self._slot()) for _ in range(SLOTS)]
        self._tasks.append(asyncio.create_task(self._sweep_regularly()))

    def submit(self, name: str, work: Work) -> None:
        """Queues a job."""
        self._queue.put_nowait((name, work))

    async def finish(self, hurry: asyncio.Event) -> None:
        """Waits until all accepted jobs have ended, or `hurry` is set."""
        waiting = [asyncio.create_task(self._queue.join()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def close(self) -> None:
        """Ends all jobs, running or queued: they fail as interrupted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._queue.empty():
            name, _ = self._queue.get_nowait()
            await self._fail(Ticket(self._store, name), Problem.interrupted())

    async def _slot(self) -> None:
        while True:
            name, work = await self._queue.get()
            try:
                await self._run(Ticket(self._store, name), work)
            except Exception as error:
                # The store is locked or the disk is full. The slot must live on, and the sweep tries again.
                log_error(log, "The end of a job could not be stored.", error)
                self._unstored.add(name)
            finally:
                self._queue.task_done()

    async def _run(self, ticket: Ticket, work: Work) -> None:
        job = asyncio.ensure_future(work(ticket))
        watching = asyncio.create_task(self._cancel_on_request(ticket, job))
        try:
            await asyncio.wait([job])
            await ticket.settle()
            result = job.result()
            if isinstance(result, Prediction):
                await asyncio.to_thread(self._store.remember, result, ticket.name)
            await asyncio.to_thread(self._store.finish, ticket.name, "done", result=result)
        except asyncio.CancelledError:
            slot = asyncio.current_task()
            service_ends = slot is not None and slot.cancelling() > 0
            ticket.stopped.set()
            if service_ends:
                await self._fail(ticket, Problem.interrupted())
            else:
                await asyncio.to_thread(self._store.finish, ticket.name, "cancelled")
                await self._forget_video(ticket)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            if service_ends:
                raise
        except RefusalError as refusal:
            await self._fail(ticket, refusal.problem)
        except Exception as error:
            log_error(log, "A job failed.", error)
            await self._fail(ticket, Problem.internal())
        finally:
            watching.cancel()

    async def _cancel_on_request(self, ticket: Ticket, job: asyncio.Future[Result]) -> None:
        """Cancels the job once a client of any worker asks for it."""
        with self._news.listen(ticket.name) as listener:
            while not await self._cancelled(ticket):
                await listener.wait()
        ticket.stopped.set()
        job.cancel()

    async def _cancelled(self, ticket: Ticket) -> bool:
        try:
            return await asyncio.to_thread(self._store.cancelled, ticket.name)
        except sqlite3.Error as error:
            log_error(log, "Whether a job is cancelled could not be read.", error)
            return False

    async def _fail(self, ticket: Ticket, problem: Problem) -> None:
        await asyncio.to_thread(self._store.finish, ticket.name, "failed", error=problem)
        await self._forget_video(ticket)

    async def _forget_video(self, ticket: Ticket) -> None:
        with suppress(OSError):
            await asyncio.to_thread(_forget, ticket.folder / VIDEO_FILE)

    def _sweep(self) -> None:
        for name in list(self._unstored):
            self._store.finish(name, "failed", error=Problem.internal())
            self._unstored.discard(name)
        self._store.sweep(self._scratch.sweep())

    async def _sweep_regularly(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await asyncio.to_thread(self._sweep)
            except (OSError, sqlite3.Error) as error:
                log_error(log, "A sweep failed.", error)


def _forget(video: Path) -> None:
    for ending in ("", *SIGNAL_ENDINGS):
        video.with_suffix(ending).unlink(missing_ok=True)
