"""Scratch space: one locked folder per worker. A folder without a lock is what a crash left behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from actreel.errors import ConfigError

LOCK_FILE = "lock"


class Scratch:
    """A worker's own folder below the state folder.

    The kernel releases the lock when the process ends, however it ends.

    Attributes:
        owner: The worker's id, never used twice.
        folder: The worker's folder.
        jobs: The folder of all workers' job folders.
        news: The folder of all workers' pipes for news of jobs.
    """

    def __init__(self, state_dir: Path) -> None:
        make_private(state_dir)
        self._workers = state_dir / "workers"
        self.jobs = state_dir / "jobs"
        self.news = state_dir / "news"
        for folder in (self._workers, self.jobs, self.news):
            make_private(folder)
        self.owner = secrets.token_hex(8)
        self.folder = self._workers / self.owner
        # Locked before it is renamed: a sweep must never see it unlocked.
        aside = state_dir / f".{self.owner}"
        aside.mkdir(mode=0o700)
        self._lock = (aside / LOCK_FILE).open("w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        aside.rename(self.folder)

    def mark_ready(self) -> None:
        """Tells the other workers that this one accepts requests."""
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def ready_workers(self) -> set[int]:
        """Process ids of the workers that accept requests."""
        ready = set()
        for lock in self._workers.glob(f"*/{LOCK_FILE}"):
            with suppress(FileNotFoundError, ValueError):  # it has just ended, or is not ready
                ready.add(int(lock.read_text(encoding="ascii")))
        return ready

    @asynccontextmanager
    async def private(self) -> AsyncIterator[Path]:
        """A folder for one request, removed with its content when the context ends."""
        folder = Path(tempfile.mkdtemp(prefix="request-", dir=self.folder))
        try:
            yield folder
        finally:
            # Shielded: a cancelled request must not leave its video behind.
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    def sweep(self) -> set[str]:
        """Removes the folders of workers that have died.

        Returns:
            The ids of the live workers.
        """
        alive = {self.owner}
        for folder in self._workers.iterdir():
            if folder.name == self.owner:
                continue
            try:
                with (folder / LOCK_FILE).open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                alive.add(folder.name)
            except FileNotFoundError:
                shutil.rmtree(folder, ignore_errors=True)
        return alive

    def close(self) -> None:
        """Removes the worker's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def make_private(folder: Path) -> None:
    """Makes a folder that only this user can read.

    Raises:
        ConfigError: The path exists and is a link or another user's folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid():
        raise ConfigError(
            f"The service's scratch folder '{folder}' is a link or belongs to another user. "
            "Set ACTREEL_STATE_DIR to a folder of your own."
        )
    folder.chmod(0o700)
