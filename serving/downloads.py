"""A YouTube link becomes a file in a request's folder; the download runs in a thread and stops with its request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

from actreel.youtube.errors import YouTubeError
from actreel.youtube.fetch import FetchedVideo, FetchLimits, fetch
from actreel.youtube.links import video_id
from serving.answers import RefusalError
from serving.metrics import STAGE_SECONDS
from serving.running import Running


async def download(
    running: Running,
    link: str,
    folder: Path,
    stopped: threading.Event,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[FetchedVideo, float]:
    """Downloads a video.

    Args:
        running: The application's parts.
        link: The visitor's link.
        folder: Where the file goes.
        stopped: Ends the download when it is set.
        on_progress: Called on the event loop with the fraction done, in [0, 1].

    Returns:
        The video, and the seconds that its download took.

    Raises:
        RefusalError: The link is none to a YouTube video, or the video cannot be downloaded.
    """
    since = time.perf_counter()
    settings = running.settings
    clip = running.recogniser.classifier.card.clip
    loop = asyncio.get_running_loop()

    def report(fraction: float) -> None:
        loop.call_soon_threadsafe(on_progress, fraction)

    limits = FetchLimits(settings.max_duration_s, settings.max_upload_bytes, settings.fetch_timeout_s)
    fetching = asyncio.ensure_future(
        asyncio.to_thread(
            fetch, link, folder, limits=limits, min_side=max(clip.height, clip.width),
            on_progress=report, cancelled=stopped.is_set, cache=running.cache, access=settings,
        )
    )  # fmt: skip
    try:
        fetched = await asyncio.shield(fetching)
    except asyncio.CancelledError:
        # The folder must outlive the thread that writes to it.
        stopped.set()
        await asyncio.wait([fetching], timeout=10)
        if fetching.done():
            fetching.exception()
        raise
    except YouTubeError as error:
        raise _refused(error) from error
    took = time.perf_counter() - since
    STAGE_SECONDS.labels("download").observe(took)
    return fetched, took


def check_link(link: str) -> str:
    """Checks a link without any download, and returns YouTube's id of its video.

    Raises:
        RefusalError: It is no link to a YouTube video.
    """
    try:
        return video_id(link)
    except YouTubeError as error:
        raise _refused(error) from error


def _refused(error: YouTubeError) -> RefusalError:
    return RefusalError(422, error.code, error.message, error.next_step)
