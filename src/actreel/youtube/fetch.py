"""Downloads a YouTube link to a small local video file, or says in one plain sentence why not.

Only the eleven characters of the video id are taken from the link (`actreel.youtube.links`); the URL that yt-dlp gets
is built from them. yt-dlp runs in its own process (`actreel.youtube.download`), which is killed with everything that it
started at the deadline, on cancel, or when this process dies.

The duration that YouTube states is checked before the download, bytes and seconds during it. The caller limits the
real duration while decoding.

Tested with the real yt-dlp against a double of YouTube on loopback. Not tested against the live site: signature and n
challenges in deno, PO tokens, and the exact messages that a blocked network or another country gets.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actreel.base.code_digest import code_digest
from actreel.youtube.access import PREFIX, YouTubeAccess
from actreel.youtube.cache import VideoCache
from actreel.youtube.errors import YouTubeError
from actreel.youtube.links import video_id

log = logging.getLogger(__name__)

# -P: a file called json.py in the working folder must not be imported.
DOWNLOADER = (sys.executable, "-P", "-m", "actreel.youtube.download")

_POLL_S = 0.1
# What the operator can do, for the log.
_HINTS = {
    "bot_check": "Run 'make youtube' first. If YouTube still asks this address to sign in, set "
    "ACTREEL_YOUTUBE_COOKIES, ACTREEL_YOUTUBE_PROXY or a PO-token provider: see 'YouTube' in docs/operations.md.",
    "age_restricted": "Cookies of an account of age would show it: see 'YouTube' in docs/operations.md.",
    "misconfigured": "Check ACTREEL_YOUTUBE_COOKIES (a file in Netscape's format), ACTREEL_YOUTUBE_PROXY (reachable, "
    "with the right password) and ACTREEL_YOUTUBE_EXTRACTOR_ARGS.",
    "no_javascript": "Install deno and yt-dlp-ejs: make youtube",
    "not_installed": "Install yt-dlp: make youtube",
    "out_of_date": "Update yt-dlp: make youtube",
}


@dataclass(frozen=True)
class FetchLimits:
    """Limits on one download.

    Attributes:
        max_duration_s: Longest video in seconds, as YouTube states it.
        max_bytes: Limit on the bytes received.
        timeout_s: Seconds after which the download is killed.
    """

    max_duration_s: float = 1200
    max_bytes: int = 200 * 2**20
    timeout_s: float = 120


@dataclass(frozen=True)
class FetchedVideo:
    """A downloaded video.

    Attributes:
        path: The file, usually without sound.
        title: YouTube's title, as its uploader wrote it: hostile text.
        video_id: YouTube's id, eleven characters.
    """

    path: Path
    title: str
    video_id: str


def fetch(
    link: str,
    folder: Path,
    *,
    limits: FetchLimits,
    min_side: int,
    on_progress: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    cache: VideoCache | None = None,
    access: YouTubeAccess | None = None,
) -> FetchedVideo:
    """Downloads the smallest video-only stream that covers a model's input.

    Args:
        link: The link, as the user gave it.
        folder: An existing private folder; only the video file stays in it.
        limits: Limits on the download.
        min_side: The frame's shorter side should have at least this many pixels.
        on_progress: Called now and then with the share downloaded, in [0, 1]; not called where it is unknown.
        cancelled: Called several times a second; the download is killed once it returns True.
        cache: Where downloaded videos are kept for later requests.
        access: Cookies, a proxy and plug-ins' options; None for none.

    Raises:
        YouTubeError: The link is refused, or the video cannot be downloaded within the limits.
    """
    name = video_id(link)
    path = folder / "video"
    # What is cached was chosen by this code and this yt-dlp.
    key = f"{name}/{min_side}/{code_digest('youtube/download.py', packages=('yt-dlp',))}"
    if cache is not None and (title := cache.copy_out(key, path)) is not None:
        on_progress(1.0)
        return FetchedVideo(path, title, name)
    with tempfile.TemporaryDirectory(prefix=".youtube-", dir=folder) as scratch:
        request = {"video_id": name, "min_side": min_side, **asdict(limits)}
        request |= (access or YouTubeAccess()).for_downloader()
        title = _download(request, Path(scratch), limits, on_progress, cancelled)
        Path(scratch, "video").replace(path)
    if cache is not None:
        cache.copy_in(key, path, title)
    return FetchedVideo(path, title, name)


def _download(
    request: dict[str, Any],
    scratch: Path,
    limits: FetchLimits,
    on_progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> str:
    """Runs yt-dlp until it has written `scratch/video`; returns the title."""
    deadline = time.monotonic() + limits.timeout_s
    facts = {**asdict(limits), "max_megabytes": limits.max_bytes / 2**20}
    # The child finds the same packages as this process, and deno's cache is removed with the folder. The service's own
    # settings, such as its key, are not passed on.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "DENO_DIR": str(scratch / "deno")}
    child = subprocess.Popen(
        DOWNLOADER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env=environment,
        start_new_session=True,  # a process group: deno, a grandchild, is killed too
    )
    try:
        for report in _reports(child, request, deadline, cancelled):
            if "failed" in report:
                code = report["failed"]
                log.warning("YouTube download: %s. %s", report, _HINTS.get(code, ""))
                raise YouTubeError(code, **facts)
            if "title" in report:
                return str(report["title"])
            on_progress(float(report["fraction"]))
    except TimeoutError as error:
        raise YouTubeError("timeout", **facts) from error
    finally:
        # Not reaped yet, so the group id is still its own; macOS refuses to signal a zombie.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    raise YouTubeError("failed")


def _reports(
    child: subprocess.Popen[bytes], request: dict[str, Any], deadline: float, cancelled: Callable[[], bool]
) -> Iterator[dict[str, Any]]:
    """The child's messages, until it ends."""
    if child.stdin is None or child.stdout is None:
        raise ValueError("The child must have pipes for stdin and stdout.")
    # Left open: the child ends when stdin closes, as it does if this process dies.
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.flush()
    unread = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if cancelled():
                raise YouTubeError("cancelled")
            if time.monotonic() > deadline:
                raise TimeoutError
            if not selector.select(_POLL_S):
                continue
            received = os.read(child.stdout.fileno(), 2**16)
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            yield from map(json.loads, lines)
