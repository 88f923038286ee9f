"""Jobs: videos that are answered later. Their state lies in one sqlite file, so that any worker can tell it.

A job is run by the worker that took it on. Should that worker die, the next sweep of any other says so to whoever
asks for the job.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter

from serving.answers import Job, Prediction, Problem, Progress, RefusalError, Segment, Stage, State, busy
from serving.settings import Settings
from serving.workers.scratch import Scratch

log = logging.getLogger(__name__)

SLOTS = 2
"""Jobs that a worker runs at once: one may download while the other is decoded."""

SWEEP_S = 20.0
WRITE_S = 0.2
CANCEL_POLL_S = 0.2
LIVE = ("queued", "running")
VIDEO_FILE = "video"

_SEGMENTS = TypeAdapter(list[Segment])


@dataclass(frozen=True)
class Known:
    """A prediction that feedback may refer to.

    Attributes:
        label: What the model said.
        confidence: How sure it was.
        bento: The Bento that said it.
        video: Its video, if that still is at hand.
    """

    label: str
    confidence: float
    bento: str
    video: Path | None


class JobStore:
    """All jobs and recent predictions, shared by the workers; each call is one short transaction."""

    def __init__(self, scratch: Scratch, settings: Settings) -> None:
        self._scratch = scratch
        self._settings = settings
        path = scratch.jobs.parent / "jobs.sqlite"
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")  # a power cut may take jobs with it: their videos are gone
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, owner TEXT, state TEXT, stage TEXT, fraction REAL, "
            "segments TEXT, result TEXT, error TEXT, cancel INTEGER, expires REAL)"
        )
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS predictions (id TEXT PRIMARY KEY, job TEXT, label TEXT, confidence REAL, "
            "bento TEXT, expires REAL)"
        )

    def create(self, stage: Stage) -> str:
        """Takes a job on, and makes its folder.

        Raises:
            RefusalError: There are as many jobs as the settings allow.
        """
        name = secrets.token_urlsafe(16)
        # One statement, so that two workers cannot both take the last place.
        taken = self._database.execute(
            "INSERT INTO jobs SELECT ?, ?, 'queued', ?, 0, '[]', NULL, NULL, 0, ? "
            "WHERE (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')) < ?",
            (name, self._scratch.owner, stage, self._expiry(), self._settings.max_jobs),
        ).rowcount
        if not taken:
            raise busy("jobs", self._settings.max_jobs, 10)
        self.folder(name).mkdir(mode=0o700)
        return name

    def folder(self, name: str) -> Path:
        """Where a job's video and frames are; `name` is one that `create` gave or `get` found."""
        return self._scratch.jobs / name

    def get(self, name: str) -> Job:
        """A job as it is now.

        Raises:
            RefusalError: There is none of that name, or not any more.
        """
        row = self._database.execute(
            "SELECT state, stage, fraction, segments, result, error FROM jobs WHERE id = ?", (name,)
        ).fetchone()
        if row is None:
            raise RefusalError(
                404,
                "no_such_job",
                f"a job is kept for {self._settings.result_ttl_s:g} s. Received: the name of none that is.",
                "Send the video again.",
            )
        state, stage, fraction, segments, result, error = row
        return Job(
            id=name,
            state=cast(State, state),
            progress=Progress(stage=cast(Stage, stage), fraction=fraction),
            segments=_SEGMENTS.validate_json(segments),
            result=Prediction.model_validate_json(result) if result else None,
            error=Problem.model_validate_json(error) if error else None,
        )

    def progress(self, name: str, stage: Stage, fraction: float, segments: list[Segment]) -> None:
        """Says how far a job is."""
        self._database.execute(
            "UPDATE jobs SET state = 'running', stage = ?, fraction = ?, segments = ? WHERE id = ? AND state IN (?, ?)",
            (stage, min(1.0, max(0.0, fraction)), _SEGMENTS.dump_json(segments).decode(), name, *LIVE),
        )

    def finish(self, name: str, state: State, result: Prediction | None = None, error: Problem | None = None) -> None:
        """Ends a job; only the first end counts."""
        segments = _SEGMENTS.dump_json(result.segments).decode() if result else None
        self._database.execute(
            "UPDATE jobs SET state = ?, segments = coalesce(?, segments), fraction = iif(? IS NULL, fraction, 1.0), "
            "result = ?, error = ?, expires = ? WHERE id = ? AND state IN (?, ?)",
            (
                state, segments, segments, result and result.model_dump_json(), error and error.model_dump_json(),
                self._expiry(), name, *LIVE,
            ),
        )  # fmt: skip

    def cancel(self, name: str) -> Job:
        """Asks for a job's end, whichever worker runs it; a job that has ended stays as it is.

        Raises:
            RefusalError: There is none of that name.
        """
        self._database.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", (name,))
        return self.get(name)

    def cancelled(self, name: str) -> bool:
        """Whether someone asked for the job's end."""
        row = self._database.execute("SELECT cancel FROM jobs WHERE id = ?", (name,)).fetchone()
        return row is None or bool(row[0])

    def remember(self, prediction: Prediction, job: str | None) -> None:
        """Keeps a prediction for as long as feedback on it is taken."""
        self._database.execute(
            "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?)",
            (
                prediction.prediction_id, job, prediction.label, prediction.confidence, prediction.model.bento,
                self._expiry(),
            ),
        )  # fmt: skip

    def recall(self, prediction_id: str) -> Known:
        """A prediction that was made not long ago.

        Raises:
            RefusalError: There is none of that name, or not any more.
        """
        row = self._database.execute(
            "SELECT label, confidence, bento, job FROM predictions WHERE id = ?", (prediction_id,)
        ).fetchone()
        if row is None:
            raise RefusalError(
                404,
                "no_such_prediction",
                f"feedback is taken for {self._settings.result_ttl_s:g} s. Received: the id of no such prediction.",
                "Send the video again.",
            )
        label, confidence, bento, job = row
        video = self.folder(job) / VIDEO_FILE if job else None
        return Known(label, confidence, bento, video if video and video.is_file() else None)

    def sweep(self, alive: set[str]) -> None:
        """Forgets what has expired, and fails the jobs of workers that are gone."""
        now = time.time()
        lost = Problem(
            code="interrupted", message="the job's worker was stopped.", next_step="Send the video again."
        ).model_dump_json()
        owners = ",".join("?" * len(alive))
        self._database.execute(
            f"UPDATE jobs SET state = 'failed', error = ? WHERE state IN (?, ?) AND owner NOT IN ({owners})",  # noqa: S608
            (lost, *LIVE, *alive),
        )
        self._database.execute("DELETE FROM predictions WHERE expires < ?", (now,))
        self._database.execute("DELETE FROM jobs WHERE expires < ? AND state NOT IN (?, ?)", (now, *LIVE))
        folders = list(self._scratch.jobs.iterdir())  # before the names: a job's row is older than its folder
        known = {row[0] for row in self._database.execute("SELECT id FROM jobs")}
        for folder in folders:
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def drop(self, name: str) -> None:
        """Forgets a job that never began."""
        self._database.execute("DELETE FROM jobs WHERE id = ?", (name,))
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def _expiry(self) -> float:
        return time.time() + self._settings.result_ttl_s


class Ticket:
    """What a running job tells and is told."""

    def __init__(self, store: JobStore, name: str) -> None:
        self.name = name
        self.folder = store.folder(name)
        self.stopped = threading.Event()
        self._store = store
        self._written = 0.0

    def tell(self, stage: Stage, fraction: float, segments: list[Segment]) -> None:
        """Says how far it is; written a few times a second at most."""
        now = time.monotonic()
        if now - self._written >= WRITE_S:
            self._written = now
            self._store.progress(self.name, stage, fraction, segments)


Work = Callable[[Ticket], Awaitable[Prediction]]


class JobRunner:
    """Runs this worker's jobs, a few at a time, in the order they came."""

    def __init__(self, store: JobStore, scratch: Scratch) -> None:
        self._store = store
        self._scratch = scratch
        self._queue: asyncio.Queue[tuple[str, Work]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts the slots, and the sweep that the workers share."""
        self._store.sweep(self._scratch.sweep())
        self._tasks = [asyncio.create_task(self._slot()) for _ in range(SLOTS)]
        self._tasks.append(asyncio.create_task(self._sweep()))

    def submit(self, name: str, work: Work) -> None:
        """Queues a job."""
        self._queue.put_nowait((name, work))

    async def finish(self, hurry: asyncio.Event) -> None:
        """Waits until all that was taken on is done, or there is a hurry."""
        waiting = [asyncio.create_task(self._queue.join()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def close(self) -> None:
        """Stops what runs; it is told as cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _slot(self) -> None:
        while True:
            name, work = await self._queue.get()
            await self._run(Ticket(self._store, name), work)
            self._queue.task_done()

    async def _run(self, ticket: Ticket, work: Work) -> None:
        job = asyncio.ensure_future(work(ticket))
        try:
            while not job.done():
                if self._store.cancelled(ticket.name):
                    ticket.stopped.set()
                    job.cancel()
                await asyncio.wait([job], timeout=CANCEL_POLL_S)
            prediction = job.result()
            self._store.remember(prediction, ticket.name)
            self._store.finish(ticket.name, "done", result=prediction)
        except asyncio.CancelledError:
            ticket.stopped.set()
            self._store.finish(ticket.name, "cancelled")
            self._forget_video(ticket)
            if not job.done():  # the service itself is ending
                job.cancel()
                await asyncio.gather(job, return_exceptions=True)
                raise
        except RefusalError as refusal:
            self._store.finish(ticket.name, "failed", error=refusal.problem)
            self._forget_video(ticket)
        except Exception:
            log.exception("a job failed")
            problem = Problem(
                code="internal", message="something went wrong on our side.", next_step="Try again later."
            )
            self._store.finish(ticket.name, "failed", error=problem)
            self._forget_video(ticket)

    def _forget_video(self, ticket: Ticket) -> None:
        with suppress(OSError):
            (ticket.folder / VIDEO_FILE).unlink(missing_ok=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                self._store.sweep(self._scratch.sweep())
            except (OSError, sqlite3.Error):
                log.exception("a sweep failed")
