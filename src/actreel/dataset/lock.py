"""A lock between processes that write the same files."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actreel.base.kept_warnings import REPAIRED

log = logging.getLogger(__name__)


@contextmanager
def exclusive_lock(lock: Path) -> Iterator[int]:
    """Waits until no other process holds `lock`, then holds it while the context is open.

    The operating system releases the lock when its last holder dies, however it dies. A child process that inherits
    the descriptor (`pass_fds`) is a holder too: if it outlives its parent, the next run waits for it.

    Args:
        lock: The lock file; created if missing, and not removed.

    Yields:
        The lock's file descriptor.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning(f"waiting: another process is writing to '{lock.parent}'", extra=REPAIRED)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
