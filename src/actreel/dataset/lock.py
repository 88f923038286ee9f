"""One process at a time on files that are made piece by piece."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def alone_with(lock: Path) -> Iterator[int]:
    """Waits until no other process holds `lock`, then holds it for as long as the context is open.

    The operating system lets go of it when the last holder dies, however it dies. A child process that inherits the
    descriptor (`pass_fds`) is a holder too: where its parent is killed and it lives on, the next run waits for it.

    Args:
        lock: A file beside what is worked on; made here, and left.

    Yields:
        The lock's file descriptor.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning(f"another process is at work on '{lock.parent}'; waiting until it is done")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
