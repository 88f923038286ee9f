"""Event streams: they sleep until there is news, from whichever worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

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


async def follow(worker: Worker, job: str, heard: list[tuple[float, bytes]]) -> None:
    async for event in events(worker.store, worker.news, job):
        heard.append((time.monotonic(), event))


def names(heard: list[tuple[float, bytes]]) -> list[str]:
    return [event.decode().splitlines()[0] for _, event in heard]


@pytest.mark.parametrize("runner", [0, 1], ids=["own job", "job of another worker"])
def test_a_stream_sleeps_until_there_is_news(scratches: list[Scratch], runner: int) -> None:
    async def run() -> None:
        with closing(Worker(scratches[0])) as listening, closing(Worker(scratches[1])) as other:
            running = (listening, other)[runner].store
            job = running.create("decode")
            heard: list[tuple[float, bytes]] = []
            stream = asyncio.create_task(follow(listening, job, heard))
            await asyncio.sleep(0.3)
            reads = listening.store.reads
            await asyncio.sleep(1)
            assert listening.store.reads == reads <= 1, "no polling"
            changed = []
            for change in (lambda: running.progress(job, "model", 0.5, []), lambda: running.finish(job, "cancelled")):
                changed.append(time.monotonic())
                await asyncio.to_thread(change)
                await asyncio.sleep(0.3)
            await asyncio.wait_for(stream, patience(5))
            assert names(heard) == ["event: progress"] * 3 + ["event: cancelled"]
            for event, since in zip([heard[1], heard[2]], changed, strict=True):
                assert event[0] - since < patience(0.1)

    asyncio.run(run())


def test_a_silent_stream_is_kept_alive(scratches: list[Scratch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.jobs.news.LOST_NEWS_S", 0.2)
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.2)

    async def run() -> list[Any]:
        with closing(Worker(scratches[0])) as worker:
            job = worker.store.create("decode")
            heard: list[tuple[float, bytes]] = []
            stream = asyncio.create_task(follow(worker, job, heard))
            await asyncio.sleep(0.7)
            worker.store.finish(job, "cancelled")
            await asyncio.wait_for(stream, patience(5))
            return names(heard)

    heard = asyncio.run(run())
    assert heard[:2] == ["event: progress", ": keep-alive"]
    assert heard[-1] == "event: cancelled"
