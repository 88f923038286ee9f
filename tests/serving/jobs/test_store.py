"""The jobs of all workers, and how long they are kept."""

from __future__ import annotations

import resource
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace

import pytest

from serving.answers import RefusalError
from serving.jobs.store import JobStore
from serving.settings import Settings
from serving.teaching.answers import TaughtDraft
from serving.workers.scratch import Scratch


def test_results_are_kept_for_a_limited_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("serving.jobs.store.time", SimpleNamespace(time=lambda: now))
    with (
        closing(Scratch(tmp_path / "state")) as scratch,
        closing(JobStore(scratch, Settings(state_dir=tmp_path / "state", result_ttl_s=60), print)) as store,
    ):
        job = store.create("decode")
        running = store.create("decode")
        store.finish(job, "cancelled")
        now += 59
        store.sweep({scratch.owner})
        assert store.get(job).state == "cancelled"
        now += 2
        store.sweep({scratch.owner})
        with pytest.raises(RefusalError, match="no_such_job"):
            store.get(job)
        assert not store.folder(job).exists()
        assert store.get(running).state == "queued", "what is not over does not expire"
        assert store.folder(running).exists()


def test_lessons_are_learned_one_at_a_time(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", max_jobs=2)
    with (
        closing(Scratch(tmp_path / "state")) as scratch,
        closing(JobStore(scratch, settings, lambda name: None)) as store,
    ):
        lesson = store.create("lesson")
        store.progress(lesson, "teach", 0.0, [])
        assert store.teaching() == lesson
        with pytest.raises(RefusalError, match=r"^teaching: "):
            store.create("lesson")
        video = store.create("decode")
        draft = TaughtDraft(
            name="a", version="2", base="1", run_id="r", table=[["action"]], notes=[], to_try="make try"
        )
        store.finish(lesson, "done", result=draft)
        ended = store.get(lesson)
        assert (ended.result, ended.progress.fraction, store.teaching()) == (draft, 1.0, None)
        store.create("download")
        with pytest.raises(RefusalError, match=r"^busy: "):
            store.create("lesson")
        assert store.get(video).state == "queued"


def test_threads_of_several_workers_share_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    settings = Settings(state_dir=state, max_jobs=20)
    with closing(Scratch(state)) as scratch, ThreadPoolExecutor(8) as threads:
        stores = [JobStore(scratch, settings, lambda name: None) for _ in range(2)]

        def create(number: int) -> str | None:
            try:
                return stores[number % 2].create("decode")
            except RefusalError:
                return None

        names = [name for name in threads.map(create, range(40)) if name is not None]
        assert len(set(names)) == len(names) == 20, "the limit holds over all workers"
        for store in stores:
            assert {store.get(name).state for name in names} == {"queued"}
            store.close()


def test_every_change_of_a_job_is_reported(tmp_path: Path) -> None:
    state = tmp_path / "state"
    changed: list[str] = []
    with (
        closing(Scratch(state)) as scratch,
        closing(JobStore(scratch, Settings(state_dir=state), changed.append)) as store,
    ):
        job, orphan = store.create("decode"), store.create("decode")
        store.progress(job, "model", 0.5, [])
        store.cancel(job)
        store.finish(job, "cancelled")
        store.sweep(set())
    assert changed == [job, job, job, orphan]


def test_a_job_ends_also_where_the_log_of_changes_cannot_grow(tmp_path: Path) -> None:
    state = tmp_path / "state"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (
        closing(Scratch(state)) as scratch,
        closing(JobStore(scratch, Settings(state_dir=state), lambda name: None)) as store,
    ):
        job = store.create("decode")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            for step in range(100):
                store.progress(job, "decode", step / 100, [])
            store.finish(job, "cancelled")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert store.get(job).state == "cancelled"


def test_it_closes_only_when_no_thread_uses_it(tmp_path: Path) -> None:
    # A job that is cancelled leaves its question to the store behind, in a thread; SQLite crashed the process.
    started, go = Event(), Event()

    def hold() -> int:
        started.set()
        go.wait()
        return 1

    with closing(Scratch(tmp_path / "state")) as scratch, ThreadPoolExecutor(2) as pool:
        store = JobStore(scratch, Settings(state_dir=tmp_path / "state"), print)
        store._database.create_function("hold", 0, hold)
        question = pool.submit(store._rows, "SELECT hold()")
        started.wait()
        closed = pool.submit(store.close)
        wait([closed], timeout=0.1)
        assert not closed.done()
        go.set()
        assert question.result() == [(1,)]
        closed.result()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            store.cancelled("job")


def test_workers_that_start_in_the_same_moment_make_the_database_together(tmp_path: Path) -> None:
    together = Barrier(4)

    def start(number: int) -> None:
        state = tmp_path / str(number)
        with closing(Scratch(state)) as scratch:
            together.wait()
            JobStore(scratch, Settings(state_dir=state), print).close()

    with ThreadPoolExecutor(4) as workers:
        for number in range(40):
            for done in [workers.submit(start, number) for _ in range(4)]:
                done.result()
