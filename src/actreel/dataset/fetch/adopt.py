"""Uses a file that the user already has in place of a download, after checking that it is the expected one."""

from __future__ import annotations

import hashlib
import logging
import os
from functools import partial
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.errors import FetchError

log = logging.getLogger(__name__)


def adopt(file: Path, target: Path, *, size: int | None = None, md5: str | None = None) -> None:
    """Links a file of the user to the path of a download; never copies it.

    Args:
        file: The user's file.
        target: Becomes a hard link to it, or a symbolic link on another file system.
        size: The expected size in bytes, if known.
        md5: The expected md5 of the content, if known.

    Raises:
        FetchError: The file is missing or is not the expected one.
    """
    if not file.is_file():
        raise FetchError(f"--adopt needs a file. Received: '{file}'")
    check_file(file, size, md5, str(file))
    if target.exists() and target.samefile(file):
        return
    with written_aside(target) as aside:
        try:
            os.link(file.resolve(), aside)
        except OSError:
            aside.symlink_to(file.resolve())
            log.warning(f"keep '{file.resolve()}': '{target}' is only a link to it, on another file system")


def check_file(path: Path, size: int | None, md5: str | None, source: str, sha256: str | None = None) -> None:
    """Compares a file with what is known about it.

    Args:
        path: The file.
        size: The expected size in bytes, if known.
        md5: The expected md5 of the content, if known.
        source: Where the file comes from, for the message.
        sha256: The expected sha256 of the content, if known.

    Raises:
        FetchError: Size or digest differ.
    """
    found = path.stat().st_size
    if size is not None and found != size:
        raise FetchError(
            f"the file must have {size:,} bytes. Received: {found:,} in '{path}', from {source}. It is kept; delete it "
            "to download it again."
        )
    for rule, name, expected in (
        ("the file's md5 must be", "md5", md5),
        ("the file's sha256 must be", "sha256", sha256),
    ):
        if expected is None:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False)).hexdigest()
        if digest != expected:
            raise FetchError(
                f"{rule} {expected}. Received: {digest} in '{path}', from {source}. It is kept; "
                "delete it to download it again."
            )
