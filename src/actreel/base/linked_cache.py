"""Outputs share their disk space with DVC's cache: a file that is damaged in one place is damaged in both.

`.dvc/config` asks for links instead of copies. Linked files are read-only, and no stage writes to a file of its own
that is complete, but a disk may fail, and the super-user may write to read-only files. DVC takes a read-only file in
its cache for whole, so it would bring the damaged one back for ever.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from actreel.base.cores import num_cores
from actreel.base.places import DVC_CACHE, DVC_CACHE_CHECKED

log = logging.getLogger(__name__)


def drop_damaged(cache: Path = DVC_CACHE, checked: Path = DVC_CACHE_CHECKED) -> None:
    """Removes files of DVC's cache that no longer are what DVC named them for, so that they are made again.

    Only files that were changed since the last complete call began are read. A disk that alters a file without a change
    of its modification time is not noticed.

    Args:
        cache: The folder that holds each file as the first two, then the other digits of its MD5.
        checked: Its modification time is when the last complete call began.
    """
    if not cache.is_dir():
        return
    since = checked.stat().st_mtime if checked.exists() else 0.0
    begun = time.time()
    changed = [file for file in cache.glob("[0-9a-f][0-9a-f]/*") if file.stat().st_mtime >= since]
    with ThreadPoolExecutor(num_cores()) as pool:  # digests are made outside of Python's lock
        for file, whole in zip(changed, pool.map(_is_whole, changed), strict=True):
            if not whole:
                log.warning(f"'{file}' in DVC's cache is damaged; what it was is made again")
                file.unlink()
    checked.parent.mkdir(parents=True, exist_ok=True)
    checked.touch()
    os.utime(checked, (begun, begun))  # last: a call that is killed has checked nothing


def _is_whole(file: Path) -> bool:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return digest == file.parent.name + file.name.removesuffix(".dir")
