"""News of jobs between workers: whoever changes a job wakes every stream and runner that waits for it.

Each worker reads a named pipe in a folder that all workers share. Unlike a Unix socket, a pipe's path may be long.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOST_NEWS_S = 15.0
"""A full pipe drops news, so a waiting task also reads the job again at this interval."""


class Listener:
    """One task's wait for news of a job."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """The job has changed."""
        self._changed.set()

    async def wait(self) -> None:
        """Returns once the job has changed since the last call, or after `LOST_NEWS_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOST_NEWS_S):
                await self._changed.wait()
        self._changed.clear()


class News:
    """A worker's end of the news; `publish` may be called from any thread, the rest from the event loop only."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._listeners: dict[str, set[Listener]] = {}
        self._rest = b""
        # Renamed once it is open: a pipe without a reader belongs to a worker that has died.
        aside = folder / f".{owner}"
        os.mkfifo(aside, 0o600)
        # Open for writing too, or the loop would see end-of-file each time another worker closes its end.
        self._pipe = os.open(aside, os.O_RDWR | os.O_NONBLOCK)
        self._path = aside.rename(folder / owner)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pipe, self._read)

    def publish(self, job: str) -> None:
        """Wakes all tasks that wait for this job, in every worker."""
        for path in self._folder.iterdir():
            if path.name.startswith("."):
                continue
            try:
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno == errno.ENXIO:  # no reader: its worker has died
                    path.unlink(missing_ok=True)
                continue
            try:
                with suppress(BlockingIOError):  # full: see LOST_NEWS_S
                    os.write(pipe, f"{job}\n".encode("ascii"))
            finally:
                os.close(pipe)

    @contextmanager
    def listen(self, job: str) -> Iterator[Listener]:
        """Listens for news of a job while the context is open. Read the job's state inside it, before each wait."""
        listener = Listener()
        self._listeners.setdefault(job, set()).add(listener)
        try:
            yield listener
        finally:
            self._listeners[job].discard(listener)
            if not self._listeners[job]:
                del self._listeners[job]

    def close(self) -> None:
        """Stops reading and removes the pipe."""
        self._loop.remove_reader(self._pipe)
        self._path.unlink(missing_ok=True)
        os.close(self._pipe)

    def _read(self) -> None:
        *jobs, self._rest = (self._rest + os.read(self._pipe, 2**16)).split(b"\n")
        for job in set(jobs):
            for listener in self._listeners.get(job.decode("ascii"), ()):
                listener.wake()
