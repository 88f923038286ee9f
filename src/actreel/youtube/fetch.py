"""A YouTube link becomes a small local video file, or one plain sentence about why not.

Only the eleven characters of a video's id are taken from the link; the address that yt-dlp gets is built anew from
them. yt-dlp itself runs in a process of its own (`actreel.youtube.download`), which is killed with everything that it
started at the deadline, on cancel, or when this process dies.

How long the video really plays is for the caller to bound while decoding: YouTube's own figure is checked here before
anything is downloaded, bytes and seconds while it arrives.

Tested through the real yt-dlp against a double of YouTube on loopback. Never tried against the live site: signature
and n challenges in deno, PO tokens, what a blocked network or another country is told word for word.
"""

from __future__ import annotations

import json
import logging
import os
import re
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
from urllib.parse import parse_qs, urlsplit

from actreel.errors import FetchError
from actreel.youtube.cache import VideoCache

log = logging.getLogger(__name__)

MAX_LINK_CHARS = 1000
LONG_HOSTS = ("youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com")
SHORT_HOSTS = ("youtu.be", "www.youtu.be")
# -P: a file called json.py in the working folder must not be imported.
DOWNLOADER = (sys.executable, "-P", "-m", "actreel.youtube.download")

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_POLL_S = 0.1
_INSTEAD = "or give the video file itself instead."
_FAILURES = {
    "not_youtube": ("this is not a YouTube link.", f"Copy a link such as https://youtu.be/… from YouTube, {_INSTEAD}"),
    "not_one_video": (
        "the link must lead to one video; this is some other page of YouTube.",
        f"Open the video itself and copy its link, {_INSTEAD}",
    ),
    "unavailable": (
        "YouTube does not show this video: it was removed, or its owner keeps it private.",
        f"Check that it plays in a private window, try another video, {_INSTEAD}",
    ),
    "age_restricted": (
        "YouTube shows this video only to signed-in adults, and Actreel never signs in.",
        f"Try another video, {_INSTEAD}",
    ),
    "region_restricted": (
        "YouTube does not show this video in the country where Actreel runs.",
        f"Try another video, {_INSTEAD}",
    ),
    "live": (
        "this video is live or yet to start, so it has no end to look at.",
        f"Come back when the recording is up, {_INSTEAD}",
    ),
    "too_long": (
        "the video must last at most {max_duration_s:.0f} s.",
        f"Try a shorter video, {_INSTEAD}",
    ),
    "too_large": (
        "the download must be at most {max_megabytes:.0f} MB.",
        f"Try a shorter video, {_INSTEAD}",
    ),
    "bot_check": (
        "YouTube takes Actreel for a robot and asks it to sign in, which it never does.",
        f"Wait a while, {_INSTEAD}",
    ),
    "no_javascript": (
        "YouTube needs a JavaScript runtime with yt-dlp's challenge solver, and one of them is missing here.",
        f"Ask whoever runs Actreel to install deno and yt-dlp-ejs, {_INSTEAD}",
    ),
    "out_of_date": (
        "YouTube has changed, and this yt-dlp no longer understands it.",
        f"Ask whoever runs Actreel to update yt-dlp, {_INSTEAD}",
    ),
    "not_installed": (
        "YouTube links need yt-dlp, which is not installed.",
        f"Install it with: pip install 'actreel[serve]', {_INSTEAD}",
    ),
    "no_network": (
        "YouTube cannot be reached from here, or it hung up.",
        f"Check the connection and try again, {_INSTEAD}",
    ),
    "timeout": (
        "YouTube took more than {timeout_s:.0f} s.",
        f"Try again or take a shorter video, {_INSTEAD}",
    ),
    "cancelled": ("the download was cancelled.", "Ask again when you like."),
    "failed": ("the download failed.", f"Try again, {_INSTEAD}"),
}


class YouTubeError(FetchError):
    """A link that is refused, or a video that cannot be had.

    Attributes:
        code: Which failure, one of a fixed list, such as `live`.
        message: What is wrong, for the one who asked.
        next_step: What they can do.
    """

    def __init__(self, code: str, **facts: float) -> None:
        message, self.next_step = _FAILURES[code]
        self.code = code
        self.message = message.format(**facts)
        super().__init__(f"{self.message} {self.next_step}")


@dataclass(frozen=True)
class FetchLimits:
    """What one download may cost.

    Attributes:
        max_duration_s: Longest video in seconds, by what YouTube says of it.
        max_bytes: Most bytes that may arrive.
        timeout_s: Seconds after which the download is killed, whatever it is doing.
    """

    max_duration_s: float = 1200
    max_bytes: int = 200 * 2**20
    timeout_s: float = 120


@dataclass(frozen=True)
class FetchedVideo:
    """A video that arrived.

    Attributes:
        path: The file, video only, no sound.
        title: YouTube's title, as its uploader wrote it: hostile text.
        video_id: The eleven characters.
    """

    path: Path
    title: str
    video_id: str


def video_id(link: str) -> str:
    """The id of the one video that a link names; needs no network.

    Takes `watch?v=`, `youtu.be/` and `shorts/` links with whatever else they carry (`t`, `list`, `si`), and drops it.

    Raises:
        YouTubeError: It is anything else, `not_youtube` or `not_one_video`.
    """
    link = link.strip()
    # urlsplit silently drops tabs and line ends.
    if len(link) > MAX_LINK_CHARS or not link.isprintable():
        raise YouTubeError("not_youtube")
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        # The whole authority is compared, so a user name, a port or a trailing dot is refused with it.
        host = parts.netloc.lower()
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError as error:
        raise YouTubeError("not_youtube") from error
    if parts.scheme not in ("http", "https") or host not in LONG_HOSTS + SHORT_HOSTS:
        raise YouTubeError("not_youtube")

    path = parts.path.removesuffix("/")
    if host in SHORT_HOSTS:
        candidates = [path.removeprefix("/")]
    elif path == "/watch":
        candidates = query.get("v", [])
    elif path.startswith("/shorts/"):
        candidates = [path.removeprefix("/shorts/")]
    else:
        candidates = []
    if len(candidates) != 1 or not _ID.fullmatch(candidates[0]):
        raise YouTubeError("not_one_video")
    return candidates[0]


def fetch(
    link: str,
    folder: Path,
    *,
    limits: FetchLimits,
    min_side: int,
    on_progress: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    cache: VideoCache | None = None,
) -> FetchedVideo:
    """Downloads the smallest video-only stream that covers a model's input.

    Args:
        link: What the user gave.
        folder: An existing private folder; the file is made in it, and nothing else stays.
        limits: What the download may cost.
        min_side: Pixels that the frame's shorter side should have at least.
        on_progress: Called now and then with the share that arrived, in [0, 1]; not called where it is unknown.
        cancelled: Asked a few times a second; once it says yes, the download is killed.
        cache: Where videos that arrived are kept for the next who asks.

    Raises:
        YouTubeError: The link is refused, or the video cannot be had within the limits.
    """
    name = video_id(link)
    path = folder / "video"
    key = f"{name}/{min_side}"
    if cache is not None and (title := cache.copy_out(key, path)) is not None:
        on_progress(1.0)
        return FetchedVideo(path, title, name)
    with tempfile.TemporaryDirectory(prefix=".youtube-", dir=folder) as scratch:
        title = _download(name, Path(scratch), limits, min_side, on_progress, cancelled)
        Path(scratch, "video").replace(path)
    if cache is not None:
        cache.copy_in(key, path, title)
    return FetchedVideo(path, title, name)


def _download(
    name: str,
    scratch: Path,
    limits: FetchLimits,
    min_side: int,
    on_progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> str:
    """Runs yt-dlp until it has written `scratch/video`; gives the title."""
    deadline = time.monotonic() + limits.timeout_s
    facts = {**asdict(limits), "max_megabytes": limits.max_bytes / 2**20}
    request = {"video_id": name, "min_side": min_side, **asdict(limits)}
    # It finds the packages that this process finds, and deno keeps its notes where they are removed.
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "DENO_DIR": str(scratch / "deno")}
    child = subprocess.Popen(
        DOWNLOADER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env={**os.environ, **paths},
        start_new_session=True,  # a process group, so that deno, a grandchild, is killed with it
    )
    try:
        for report in _reports(child, request, deadline, cancelled):
            if "failed" in report:
                log.warning("YouTube download: %s", report)
                raise YouTubeError(report["failed"], **facts)
            if "title" in report:
                return str(report["title"])
            on_progress(float(report["fraction"]))
    except TimeoutError as error:
        raise YouTubeError("timeout", **facts) from error
    finally:
        # Not reaped yet, so the group's number still is its own; macOS refuses to signal a zombie.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    raise YouTubeError("failed")


def _reports(
    child: subprocess.Popen[bytes], request: dict[str, Any], deadline: float, cancelled: Callable[[], bool]
) -> Iterator[dict[str, Any]]:
    """What the child tells, until it ends."""
    if child.stdin is None or child.stdout is None:
        raise ValueError("the child must have pipes")
    # Left open: its end tells the child that this process is gone.
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
