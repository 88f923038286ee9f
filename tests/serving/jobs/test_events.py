"""Event streams: they sleep until there is news, from whichever worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from serving.answers import Job
from serving.jobs import events as module
from serving.jobs.events import events
from serving.jobs.news import News
from serving.jobs.store import JobStore
from serving.settings import Settings
from serving.workers.scratch import Scratch
from tests.conftest import patience


class CountedStore(JobStore):
    """Counts how often a job is read."""

    reads = 0

    def get(self, name: str) -> Job:
        self.reads += 1
        return super().get(name)


@pytest.fixture
def scratches(tmp_path: Path) -> Iterator[list[Scratch]]:
    """The scratch folders of two workers."""
    with closing(Scratch(tmp_path / "state")) as one, closing(Scratch(tmp_path / "state")) as two:
        yield [one, two]


class Worker:
    """What a worker has of the jobs."""

    def __init__(self, scratch: Scratch) -> None:
        self.news = News(scratch.news, scratch.owner)
        self.store = CountedStore(scratch, Settings(state_dir=scratch.jobs.parent), self.news.publish)

    def close(self) -> None:
        self.news.close()
        self.store.close()


async def follow(worker: Worker, job: str, heard: list[str]) -> None:
    async for event in events(worker.store, worker.news, job):
        heard.append(event.decode().splitlines()[0])


async def until(number: int, heard: list[str]) -> None:
    """Waits until so many events were heard."""
    async with asyncio.timeout(patience(5)):
        while len(heard) < number:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("runner", [0, 1], ids=["own job", "job of another worker"])
def test_a_stream_sleeps_until_there_is_news(
    scratches: list[Scratch], runner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.jobs.news.LOST_NEWS_S", 3600)  # so that nothing but news wakes it

    async def run() -> None:
        with closing(Worker(scratches[0])) as listening, closing(Worker(scratches[1])) as other:
            running = (listening, other)[runner].store
            job = running.create("decode")
            heard: list[str] = []
            stream = asyncio.create_task(follow(listening, job, heard))
            await until(1, heard)
            await asyncio.sleep(1)
            assert listening.store.reads == 1, "no polling"
            await asyncio.to_thread(running.progress, job, "model", 0.5, [])
            await until(2, heard)
            await asyncio.to_thread(running.finish, job, "cancelled")
            await asyncio.wait_for(stream, patience(5))
            assert heard == ["event: progress"] * 3 + ["event: cancelled"]

    asyncio.run(run())


def test_a_silent_stream_is_kept_alive(scratches: list[Scratch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.jobs.news.LOST_NEWS_S", 0.2)
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.2)

    async def run() -> list[str]:
        with closing(Worker(scratches[0])) as worker:
            job = worker.store.create("decode")
            heard: list[str] = []
            stream = asyncio.create_task(follow(worker, job, heard))
            await until(2, heard)
            worker.store.finish(job, "cancelled")
            await asyncio.wait_for(stream, patience(5))
            return heard

    heard = asyncio.run(run())
    assert heard[:2] == ["event: progress", ": keep-alive"]
    assert heard[-1] == "event: cancelled"
