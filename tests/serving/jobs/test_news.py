"""News of jobs: it reaches each listener in each worker, and no worker that has died."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from serving.jobs import news as module
from serving.jobs.news import Listener, News
from tests.conftest import patience

JOB, OTHER = "j" * 22, "k" * 22


async def hears(listener: Listener, seconds: float | None = None) -> bool:
    try:
        async with asyncio.timeout(seconds or patience(5)):
            await listener.wait()
    except TimeoutError:
        return False
    return True


def test_news_wakes_the_listeners_of_that_job_in_every_worker(tmp_path: Path) -> None:
    async def run() -> None:
        with (
            closing(News(tmp_path, "one")) as one,
            closing(News(tmp_path, "two")) as two,
            one.listen(JOB) as first,
            one.listen(OTHER) as deaf,
            two.listen(JOB) as second,
        ):
            await asyncio.to_thread(one.publish, JOB)
            assert await asyncio.gather(hears(first), hears(second)) == [True, True]
            assert not await hears(deaf, 0.1)
            assert not await hears(first, 0.1), "once per piece of news"

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_news_that_comes_before_the_wait_is_not_lost(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(News(tmp_path, "one")) as news, news.listen(JOB) as listener:
            news.publish(JOB)
            await asyncio.sleep(0.1)
            assert await hears(listener)

    asyncio.run(run())


def test_the_pipe_of_a_dead_worker_is_removed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dead")

    async def run() -> None:
        with closing(News(tmp_path, "one")) as news, news.listen(JOB) as listener:
            news.publish(JOB)
            assert await hears(listener)
            assert [path.name for path in tmp_path.iterdir()] == ["one"]

    asyncio.run(run())


def test_a_worker_that_does_not_read_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOST_NEWS_S", 0.2)

    async def run() -> None:
        with closing(News(tmp_path, "one")) as news, news.listen(JOB) as listener:
            started = time.monotonic()
            for _ in range(4000):  # 92 KB, more than a pipe holds, while the event loop is busy here
                news.publish(OTHER)
            news.publish(JOB)
            assert time.monotonic() - started < patience(5)
            await listener.wait()  # lost, but it looks for itself in time

    asyncio.run(run())
