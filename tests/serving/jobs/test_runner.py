"""Running jobs: a cancellation from any worker stops one at once, and nothing is read while a job just runs."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path

import pytest

from serving.answers import Prediction
from serving.jobs.news import News
from serving.jobs.runner import JobRunner, Ticket
from serving.jobs.store import JobStore
from serving.settings import Settings
from serving.workers.scratch import Scratch
from tests.conftest import patience


class CountedStore(JobStore):
    """Counts how often it is asked for a cancellation."""

    asked = 0

    def cancelled(self, name: str) -> bool:
        self.asked += 1
        return super().cancelled(name)


async def forever(ticket: Ticket) -> Prediction:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("by_another", [False, True], ids=["own worker", "another worker"])
def test_cancelling_wakes_the_runner(tmp_path: Path, by_another: bool) -> None:
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
            await asyncio.sleep(0.3)
            asked = store.asked
            await asyncio.sleep(1)
            assert store.asked == asked <= 1, "no polling"
            since = time.monotonic()
            await asyncio.to_thread((other if by_another else store).cancel, job)
            while store.get(job).state != "cancelled":
                assert time.monotonic() - since < patience(1)
                await asyncio.sleep(0.01)
            assert time.monotonic() - since < patience(0.15)
            await runner.close()

    asyncio.run(run())


def test_jobs_of_a_service_that_ends_are_cancelled(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")

    async def run() -> None:
        with (
            closing(Scratch(settings.state_dir)) as scratch,
            closing(News(scratch.news, scratch.owner)) as news,
            closing(JobStore(scratch, settings, news.publish)) as store,
        ):
            runner = JobRunner(store, news, scratch)
            await runner.start()
            job = store.create("decode")
            runner.submit(job, forever)
            await asyncio.sleep(0.1)
            await runner.close()
            assert store.get(job).state == "cancelled"

    asyncio.run(run())
