"""Writes a file completely or not at all: to a temporary file first, which then replaces the old one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actreel.base.faults import naming

LONGEST_NAME = 240
"""Bytes in the longest file name that is kept in the temporary name; most file systems stop at 255."""


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to; it replaces `path` if the context ends without an exception.

    A process that is killed meanwhile leaves the old file untouched, and a hidden temporary file that the next call
    overwrites. After a power cut too, the file is the old or the new one. Two processes must not write the same file at
    once.

    Args:
        path: The file to write; its folder is created if it is missing.

    Yields:
        A path in the same folder, where no file exists yet.
    """
    aside = temporary_name(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        try:
            yield aside
            _flush(aside)
            aside.replace(path)
        finally:
            # Still there after an exception, and after a rename between two hard links to one file, which does nothing.
            aside.unlink(missing_ok=True)


def _flush(file: Path) -> None:
    """Waits until the content is on the disk: file systems may store a rename before it."""
    with file.open("rb") as content:
        os.fsync(content.fileno())


def temporary_name(path: Path) -> Path:
    """The hidden path in the same folder that `path` is first written to, with the same file extension."""
    name = path.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32] + path.suffix[:8]
    return path.with_name(f".part.{name}")
