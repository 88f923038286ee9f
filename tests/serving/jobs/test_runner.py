"""Running jobs: a cancellation from any worker stops one at once, and nothing is read while a job just runs."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from serving.answers import Prediction, Problem, RefusalError
from serving.jobs import runner as runner_module
from serving.jobs.news import News
from serving.jobs.runner import SLOTS, JobRunner, Ticket
from serving.jobs.store import VIDEO_FILE, JobStore
from serving.settings import Settings
from serving.workers.scratch import Scratch
from tests.conftest import patience

AnyStore = TypeVar("AnyStore", bound=JobStore)


class CountedStore(JobStore):
    """Counts how often it is asked for a cancellation."""

    asked = 0

    def cancelled(self, name: str) -> bool:
        self.asked += 1
        return super().cancelled(name)


@asynccontextmanager
async def started(kind: type[AnyStore], settings: Settings) -> AsyncIterator[tuple[AnyStore, JobRunner]]:
    """A worker's store of the given kind, and its runner; the test closes the runner itself."""
    with (
        closing(Scratch(settings.state_dir)) as scratch,
        closing(News(scratch.news, scratch.owner)) as news,
        closing(kind(scratch, settings, news.publish)) as store,
    ):
        runner = JobRunner(store, news, scratch)
        await runner.start()
        yield store, runner


async def forever(ticket: Ticket) -> Prediction:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("by_another", [False, True], ids=["own worker", "another worker"])
def test_cancelling_wakes_the_runner(tmp_path: Path, by_another: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.jobs.news.LOST_NEWS_S", 3600)  # so that nothing but news wakes it
    settings = Settings(state_dir=tmp_path / "state")

    async def run() -> None:
        with (
            closing(Scratch(settings.state_dir)) as scratch,
            closing(Scratch(settings.state_dir)) as elsewhere,
            closing(News(scratch.news, scratch.owner)) as news,
            closing(News(elsewhere.news, elsewhere.owner)) as other_news,
            closing(CountedStore(scratch, settings, news.publish)) as store,
            closing(JobStore(elsewhere, settings, other_news.publish)) as other,
        ):
            runner = JobRunner(store, news, scratch)
            await runner.start()
            job = store.create("decode")
            runner.submit(job, forever)
            async with asyncio.timeout(patience(5)):
                while not store.asked:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(1)
            assert store.asked == 1, "no polling"
            await asyncio.to_thread((other if by_another else store).cancel, job)
            async with asyncio.timeout(patience(5)):
                while store.get(job).state != "cancelled":
                    await asyncio.sleep(0.01)
            await runner.close()

    asyncio.run(run())


def test_jobs_of_a_service_that_ends_are_interrupted_not_cancelled(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")

    async def run() -> None:
        async with started(JobStore, settings) as (store, runner):
            jobs = [store.create("decode") for _ in range(SLOTS + 1)]  # the last one waits
            begun: list[str] = []

            async def begin(ticket: Ticket) -> Prediction:
                begun.append(ticket.name)
                return await forever(ticket)

            for job in jobs:
                (store.folder(job) / VIDEO_FILE).write_bytes(b"video")
                runner.submit(job, begin)
            async with asyncio.timeout(patience(5)):
                while begun != jobs[:SLOTS]:
                    await asyncio.sleep(0.01)
            await runner.close()
            for job in jobs:
                state = store.get(job)
                assert (state.state, state.error) == ("failed", Problem.interrupted())
                assert not (store.folder(job) / VIDEO_FILE).exists()

    asyncio.run(run())


class FailingStore(JobStore):
    """Cannot store the ends of jobs while `broken`."""

    broken = True

    def finish(self, *arguments: Any, **named: Any) -> None:
        if self.broken:
            raise sqlite3.OperationalError("database is locked")
        super().finish(*arguments, **named)


async def refused(ticket: Ticket) -> Prediction:
    raise RefusalError(422, "damaged", "It is damaged.", "Send another.")


def test_a_slot_outlives_a_store_that_fails_and_the_sweep_ends_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "SWEEP_S", 0.05)
    settings = Settings(state_dir=tmp_path / "state")

    async def run() -> None:
        async with started(FailingStore, settings) as (store, runner):
            jobs = [store.create("decode") for _ in range(2 * SLOTS)]
            for job in jobs:
                runner.submit(job, refused)
            async with asyncio.timeout(patience(5)):
                await runner.finish(asyncio.Event())  # every job was run, though none could be ended
            store.broken = False
            async with asyncio.timeout(patience(5)):
                while {store.get(job).state for job in jobs} != {"failed"}:
                    await asyncio.sleep(0.02)
            await runner.close()

    asyncio.run(run())


async def done(ticket: Ticket) -> Prediction:
    return Prediction.model_construct()


def test_a_runner_closes_while_a_result_is_stored(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    storing = threading.Event()

    class SlowStore(JobStore):
        def remember(self, *arguments: Any) -> None:
            storing.set()
            time.sleep(0.3)

    async def run() -> None:
        async with started(SlowStore, settings) as (store, runner):
            runner.submit(store.create("decode"), done)
            assert await asyncio.to_thread(storing.wait, patience(5))
            async with asyncio.timeout(patience(5)):
                await runner.close()

    asyncio.run(run())


def test_a_new_stage_is_always_stored(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")

    async def run() -> None:
        with (
            closing(Scratch(settings.state_dir)) as scratch,
            closing(News(scratch.news, scratch.owner)) as news,
            closing(JobStore(scratch, settings, news.publish)) as store,
        ):
            job = store.create("download")
            ticket = Ticket(store, job)
            ticket.report("download", 1.0, [])
            ticket.report("decode", 0.0, [])
            ticket.report("decode", 0.5, [])
            await ticket.settle()
            assert (store.get(job).progress.stage, store.get(job).progress.fraction) == ("decode", 0.0)

    asyncio.run(run())
