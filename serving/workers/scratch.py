"""Scratch space: a folder a worker, owned by whoever holds its lock, so that what a crash left behind is known."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from actreel.errors import ConfigError

LOCK_FILE = "lock"


class Scratch:
    """A worker's own folder below the state folder.

    The kernel lets go of the lock when the process ends, however it ends.

    Attributes:
        owner: The worker's name, never used twice.
        folder: Its folder.
        jobs: The folder of all workers' job folders.
    """

    def __init__(self, state_dir: Path) -> None:
        make_private(state_dir)
        self._workers = state_dir / "workers"
        self.jobs = state_dir / "jobs"
        for folder in (self._workers, self.jobs):
            make_private(folder)
        self.owner = secrets.token_hex(8)
        self.folder = self._workers / self.owner
        # Locked before it has its name: a sweep must never see it unlocked.
        aside = state_dir / f".{self.owner}"
        aside.mkdir(mode=0o700)
        self._lock = (aside / LOCK_FILE).open("w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        aside.rename(self.folder)

    def tell_ready(self) -> None:
        """Lets the other workers know that this one answers."""
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def ready_workers(self) -> set[int]:
        """The processes of the workers that answer."""
        told = set()
        for lock in self._workers.glob(f"*/{LOCK_FILE}"):
            with suppress(FileNotFoundError, ValueError):  # it has just gone, or is not ready
                told.add(int(lock.read_text(encoding="ascii")))
        return told

    @contextmanager
    def private(self) -> Iterator[Path]:
        """A folder for one request, removed with all it holds when the context ends."""
        with tempfile.TemporaryDirectory(prefix="request-", dir=self.folder, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def sweep(self) -> set[str]:
        """Removes the folders of workers that are gone.

        Returns:
            The names of the workers that live.
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
    """Makes a folder that only this user can look into.

    Raises:
        ConfigError: It is there already and someone else's, or a link.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid():
        raise ConfigError(
            f"the service's scratch folder must be its own. Received: '{folder}', a link or another user's. "
            "Set ACTREEL_STATE_DIR to a folder of yours."
        )
    folder.chmod(0o700)
