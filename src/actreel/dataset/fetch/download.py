"""Downloads a large file over an unreliable network: bytes that have arrived are never requested again.

Until the download is complete, `.<name>.part` (the bytes so far) and `.<name>.part.json` (the remote file that they
belong to) are next to the target.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from actreel.base.progress import Progress
from actreel.dataset.fetch.adopt import check_file
from actreel.dataset.fetch.partial import UCF50, Advice, PartialFile
from actreel.dataset.fetch.transfer import TransferError, open_session, transfer
from actreel.dataset.lock import exclusive_lock
from actreel.errors import FetchError

MOST_FAILURES = 8
LONGEST_PAUSE_S = 60.0

log = logging.getLogger(__name__)


def download(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    md5: str | None = None,
    sha256: str | None = None,
    first_pause_s: float = 1.0,
    most_failures: int = MOST_FAILURES,
    advice: Advice = UCF50,
) -> None:
    """Downloads a file, resuming an earlier attempt; does nothing if the file exists.

    Args:
        url: http or https.
        target: The file; it appears only when it is complete and checked.
        size: The expected size in bytes, if known.
        md5: The expected md5 of the content, if known.
        sha256: The expected sha256, if known.
        first_pause_s: Seconds before the second attempt; doubled after every failure in a row.
        most_failures: Attempts in a row without a new byte before the download is given up.
        advice: For errors.

    Raises:
        FetchError: The server refuses, the file is not the expected one, or many attempts in a row brought no byte.
            Bytes that have arrived are kept.
    """
    with exclusive_lock(target.with_name(f".{target.name}.lock")):
        if not target.exists():
            part = PartialFile(target, advice)
            _transfer_all(url, part, size, first_pause_s, most_failures)
            check_file(part.path, size, md5, url, sha256)
            part.path.replace(target)
            part.note.unlink(missing_ok=True)
        else:
            check_file(target, size, md5, url, sha256)


def _transfer_all(url: str, part: PartialFile, size: int | None, first_pause_s: float, most_failures: int) -> None:
    failures = 0
    label = url.rpartition("/")[2] or url
    with open_session() as session, Progress(label, size, unit="B", done=part.size) as progress:
        while True:
            before = part.size
            try:
                transfer(session, url, part, size, progress.update)
                return
            except TransferError as error:
                failures = 0 if part.size > before else failures + 1
                if failures >= most_failures:
                    raise FetchError(
                        f"no progress after {failures} attempts in a row. Received: {error}, from {url}. "
                        f"{part.size:,} bytes are kept in '{part.path}'. Run the same command again to resume. "
                        f"{part.advice.mirror}"
                    ) from error
                pause = max(error.pause_s, first_pause_s * 2 ** max(0, failures - 1))
                log.warning(f"download interrupted at {part.size:,} bytes ({error}); retrying")
                time.sleep(min(pause, LONGEST_PAUSE_S))
