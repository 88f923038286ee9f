"""The jobs and recent predictions of all workers, in one SQLite file. Its calls block: run them in a thread."""

from __future__ import annotations

import fcntl
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from actreel.base.faults import naming
from actreel.base.places import UNKNOWN
from serving.answers import Job, Prediction, Problem, Progress, RefusalError, Segment, Stage, State, busy
from serving.settings import Settings
from serving.teaching.answers import TaughtDraft
from serving.workers.scratch import Scratch

LIVE = ("queued", "running")
LESSON_STAGES = ("lesson", "teach")
VIDEO_FILE = "video"

_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)

_SEGMENTS = TypeAdapter(list[Segment])
Result = Prediction | TaughtDraft
_RESULT: TypeAdapter[Result] = TypeAdapter(Result)
_LIVE_LESSONS = "SELECT id FROM jobs WHERE state IN ('queued', 'running') AND stage IN ('lesson', 'teach')"


@dataclass(frozen=True)
class RecentPrediction:
    """A prediction that feedback may refer to.

    Attributes:
        label: The predicted action; `_unknown` if the answer was that the model knows no such action.
        confidence: Its probability.
        bento: Tag of the Bento that answered.
        video: The video, if it is still kept.
        duration_s: Seconds that it lasts, if it was answered as a job.
    """

    label: str
    confidence: float
    bento: str
    video: Path | None
    duration_s: float | None


class JobStore:
    """All jobs and recent predictions, shared by the workers; each call is one short transaction.

    Args:
        scratch: Where the file and the jobs' folders are.
        settings: The operator's.
        on_change: Called with a job's id after each change of it, in the thread that made the change.
    """

    def __init__(self, scratch: Scratch, settings: Settings, on_change: Callable[[str], None]) -> None:
        self._scratch = scratch
        self._settings = settings
        self._on_change = on_change
        self._lock = threading.Lock()
        self._path = scratch.jobs.parent / "jobs.sqlite"
        self._database = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        # Workers may start at the same moment, and SQLite fails at once when two processes set the journal's mode.
        with self._path.with_suffix(".lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._make_tables()

    def _make_tables(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")  # jobs lost in a power cut have lost their videos too
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, owner TEXT, state TEXT, stage TEXT, fraction REAL, "
            "segments TEXT, result TEXT, error TEXT, cancel INTEGER, expires REAL)"
        )
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS predictions (id TEXT PRIMARY KEY, job TEXT, label TEXT, confidence REAL, "
            "bento TEXT, expires REAL)"
        )

    def create(self, stage: Stage) -> str:
        """Adds a queued job and makes its folder.

        Returns:
            The job's id.

        Raises:
            RefusalError: 429, as there are already as many jobs as the settings allow; 409, as a lesson is being
                learned, and this is another.
        """
        name = secrets.token_urlsafe(16)
        teaches = stage in LESSON_STAGES
        # One statement, or two workers could both add the last job.
        added = self._run(
            "INSERT INTO jobs SELECT ?, ?, 'queued', ?, 0, '[]', NULL, NULL, 0, ? "  # noqa: S608
            "WHERE (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')) < ? "
            f"AND NOT (? AND EXISTS ({_LIVE_LESSONS}))",
            (name, self._scratch.owner, stage, self._expiry(), self._settings.max_jobs, teaches),
        )
        if not added and teaches and self.teaching() is not None:
            raise RefusalError(
                409, "teaching", "A lesson is being learned already.", "Wait until it is done, or cancel its job."
            )
        if not added:
            raise busy("jobs", self._settings.max_jobs, 10)
        try:
            self.folder(name).mkdir(mode=0o700)
        except OSError:
            self._run("DELETE FROM jobs WHERE id = ?", (name,))
            raise
        return name

    def teaching(self) -> str | None:
        """The job that is learning a lesson now, or waits to."""
        rows = self._rows(_LIVE_LESSONS)
        return str(rows[0][0]) if rows else None

    def folder(self, name: str) -> Path:
        """The folder of a job's video and frames; `name` comes from `create`, or was found by `get`."""
        return self._scratch.jobs / name

    def get(self, name: str) -> Job:
        """A job's current state.

        Raises:
            RefusalError: 404, as there is no such job, or it has expired.
        """
        rows = self._rows("SELECT state, stage, fraction, segments, result, error FROM jobs WHERE id = ?", name)
        if not rows:
            raise RefusalError(
                404,
                "no_such_job",
                f"There is no such job, or it has expired: a job is kept for {self._settings.result_ttl_s:g} s.",
                "Send the video again.",
            )
        state, stage, fraction, segments, result, error = rows[0]
        return Job(
            id=name,
            state=cast(State, state),
            progress=Progress(stage=cast(Stage, stage), fraction=fraction),
            segments=_SEGMENTS.validate_json(segments),
            result=_RESULT.validate_json(result) if result else None,
            error=Problem.model_validate_json(error) if error else None,
        )

    def progress(self, name: str, stage: Stage, fraction: float, segments: list[Segment]) -> None:
        """Writes a job's progress."""
        self._run(
            "UPDATE jobs SET state = 'running', stage = ?, fraction = ?, segments = ? WHERE id = ? AND state IN (?, ?)",
            (stage, min(1.0, max(0.0, fraction)), _SEGMENTS.dump_json(segments).decode(), name, *LIVE),
        )
        self._on_change(name)

    def finish(self, name: str, state: State, result: Result | None = None, error: Problem | None = None) -> None:
        """Ends a job; a job that has ended stays as it is."""
        segments = _SEGMENTS.dump_json(result.segments).decode() if isinstance(result, Prediction) else None
        self._run(
            "UPDATE jobs SET state = ?, segments = coalesce(?, segments), fraction = iif(?, 1.0, fraction), "
            "result = ?, error = ?, expires = ? WHERE id = ? AND state IN (?, ?)",
            (
                state, segments, state == "done", result and result.model_dump_json(),
                error and error.model_dump_json(), self._expiry(), name, *LIVE,
            ),
        )  # fmt: skip
        self._on_change(name)

    def cancel(self, name: str) -> Job:
        """Asks for a job to be cancelled, whichever worker runs it; a job that has ended stays as it is.

        Raises:
            RefusalError: 404, as there is no such job.
        """
        self._run("UPDATE jobs SET cancel = 1 WHERE id = ?", (name,))
        self._on_change(name)
        return self.get(name)

    def cancelled(self, name: str) -> bool:
        """Whether a client asked for the job to be cancelled."""
        rows = self._rows("SELECT cancel FROM jobs WHERE id = ?", name)
        return not rows or bool(rows[0][0])

    def remember(self, prediction: Prediction, job: str | None) -> None:
        """Keeps a prediction for as long as feedback on it is accepted."""
        self._run(
            "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?)",
            (
                prediction.prediction_id, job, prediction.label if prediction.known else UNKNOWN,
                prediction.confidence, prediction.model.bento, self._expiry(),
            ),
        )  # fmt: skip

    def recall(self, prediction_id: str) -> RecentPrediction:
        """A recent prediction.

        Raises:
            RefusalError: 404, as there is no such prediction, or it has expired.
        """
        rows = self._rows(
            "SELECT label, confidence, bento, job, json_extract(jobs.result, '$.video.duration_s') "
            "FROM predictions LEFT JOIN jobs ON jobs.id = predictions.job WHERE predictions.id = ?",
            prediction_id,
        )
        if not rows:
            raise RefusalError(
                404,
                "no_such_prediction",
                "There is no such prediction, or it has expired: feedback is accepted for "
                f"{self._settings.result_ttl_s:g} s.",
                "Send the video again.",
            )
        label, confidence, bento, job, duration_s = rows[0]
        video = self.folder(job) / VIDEO_FILE if job else None
        return RecentPrediction(label, confidence, bento, video if video and video.is_file() else None, duration_s)

    def sweep(self, alive: set[str]) -> None:
        """Removes what has expired, and marks the jobs of workers that have died as failed."""
        now = time.time()
        lost = Problem.interrupted().model_dump_json()
        owners = ",".join("?" * len(alive))
        orphans = self._rows(
            f"UPDATE jobs SET state = 'failed', error = ?, expires = ? "  # noqa: S608
            f"WHERE state IN (?, ?) AND owner NOT IN ({owners}) RETURNING id",
            lost, self._expiry(), *LIVE, *alive,
        )  # fmt: skip
        for (name,) in orphans:
            self._on_change(name)
        self._run("DELETE FROM predictions WHERE expires < ?", (now,))
        self._run("DELETE FROM jobs WHERE expires < ? AND state NOT IN (?, ?)", (now, *LIVE))
        folders = list(self._scratch.jobs.iterdir())  # listed before the ids: a job's row is older than its folder
        kept = {name for (name,) in self._rows("SELECT id FROM jobs")}
        for folder in folders:
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def drop(self, name: str) -> None:
        """Removes a job that never began."""
        self._run("DELETE FROM jobs WHERE id = ?", (name,))
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def close(self) -> None:
        """Closes the file, once no thread uses it: SQLite crashes where a statement runs while it is closed."""
        with self._lock:
            self._database.close()

    def _run(self, statement: str, values: tuple[Any, ...]) -> int:
        """Runs a statement, and returns how many rows it changed."""
        with self._lock, naming(self._path):
            return self._execute(statement, values).rowcount

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, naming(self._path):
            return self._execute(statement, values).fetchall()

    def _execute(self, statement: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _NO_ROOM:
                raise
            # Where SQLite's log of changes cannot grow, a job could never end. The log is moved into the file, whose
            # rows are mostly written over, and begins again.
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return self._database.execute(statement, values)

    def _expiry(self) -> float:
        return time.time() + self._settings.result_ttl_s
