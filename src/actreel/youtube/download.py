"""yt-dlp in its own process: one request on stdin, messages on stdout, a line of JSON each.

    {"video_id", "min_side", "max_duration_s", "max_bytes", "timeout_s", "cookies", "proxy", "extractor_args"}
    ▸ {"fraction": 0.4} … and at the end {"title": "…"} or {"failed": "live", "detail": "…"}

The only importer of yt_dlp. `actreel.youtube.fetch` starts it in an empty folder and kills it at the deadline.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

MAX_TITLE_CHARS = 300
_MAX_DETAIL_CHARS = 500
_SOCKET_TIMEOUT_S = 10
# Best first: H.264 decodes fastest and everywhere.
_CODECS = ("avc1", "vp9", "vp09", "av01")

_NO_JAVASCRIPT = r"no supported javascript runtime|(n challenge|signature) solving failed"
# During a download, yt-dlp reports a lost connection only in its message.
_HUNG_UP = r"giving up after|any data blocks"
# Messages of yt-dlp and YouTube, the most specific first.
_MESSAGES = (
    ("failed", r"unable to (write|open|rename)"),
    ("region_restricted", r"in your country|from your location|geo.?restrict"),
    ("age_restricted", r"confirm your age|age.restricted|inappropriate for some users"),
    ("bot_check", r"not a bot|captcha|rate.limited|try again later|being blocked by youtube|http error 429"),
    ("live", r"live event|premieres? |is offline"),
    (
        "out_of_date",
        r"requested format|no video formats|unable to extract|failed to extract|report this issue|error 403",
    ),
    (
        "unavailable",
        r"private|unavailable|not available|isn.t available|no longer available|removed|deleted|terminated|members|"
        r"join this channel|requires payment|drm protected|copyright",
    ),
)


class _RefusedError(Exception):
    """The video breaks one of the request's limits."""

    def __init__(self, code: str, detail: object) -> None:
        super().__init__(str(detail))
        self.code = code


def main() -> None:
    """Handles the one request."""
    # yt-dlp prints to stdout, which must carry only our messages.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def report(**fields: object) -> None:
        print(json.dumps(fields), file=reports, flush=True)

    request = json.loads(sys.stdin.readline())
    # A service that is being replaced finishes its downloads; to end this process, kill it or close its stdin.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        import yt_dlp  # noqa: F401
    except ImportError as error:
        report(failed="not_installed", detail=str(error))
        return
    warnings: list[str] = []
    try:
        report(title=_download(request, warnings, report))
    except Exception as error:
        detail = f"{type(error).__name__}: {'; '.join([str(error), *warnings])}"
        report(failed=_code(error, warnings), detail=_harmless(detail, request)[:_MAX_DETAIL_CHARS])


def _harmless(detail: str, request: dict[str, Any]) -> str:
    """An error's words for the log, which must not reveal what was watched, or how YouTube is reached."""
    proxy = urlsplit(request["proxy"] or "")
    secrets = [request["video_id"], request["cookies"], proxy.netloc, proxy.hostname, proxy.username, proxy.password]
    secrets += [value for given in request["extractor_args"] for value in re.split("[;=,]", given) if len(value) > 7]
    detail = re.sub(r"\w+://\S+", "(address)", detail)  # stream URLs contain the client's address
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        detail = detail.replace(secret, "(hidden)")
    return detail


def _die_with_parent() -> NoReturn:
    # os.read, because a thread that waits within sys.stdin breaks the interpreter's exit.
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)
    raise SystemExit


def _download(request: dict[str, Any], warnings: list[str], report: Any) -> str:
    """Writes the file `video` into the working folder; returns the title."""
    from yt_dlp import YoutubeDL

    def count(progress: dict[str, Any]) -> None:
        # Counted here: yt-dlp's max_filesize trusts the server's Content-Length, or its absence.
        arrived, promised = progress.get("downloaded_bytes") or 0, progress.get("total_bytes") or 0
        if max(arrived, promised) > request["max_bytes"]:
            raise _RefusedError("too_large", max(arrived, promised))
        if expected := promised or progress.get("total_bytes_estimate"):
            report(fraction=min(1.0, arrived / expected))

    options = {
        "allowed_extractors": ["^youtube$"],
        "cachedir": False,
        "fixup": "never",  # would need ffmpeg
        "format": lambda formats: _smallest(formats["formats"], request["min_side"]),
        "logger": _Listener(warnings),
        "noprogress": True,
        "outtmpl": {"default": "video"},
        "overwrites": True,
        "progress_hooks": [count],
        "retries": 2,
        "extractor_retries": 1,
        "socket_timeout": min(_SOCKET_TIMEOUT_S, request["timeout_s"]),
        **_access(request),
    }
    with YoutubeDL(options) as downloader:
        link = f"https://www.youtube.com/watch?v={request['video_id']}"
        video = downloader.extract_info(link, download=False, process=False)
        if video.get("_type", "video") != "video":
            raise _RefusedError("unavailable", video["_type"])
        if video.get("live_status") in ("is_live", "is_upcoming", "post_live"):
            raise _RefusedError("live", video["live_status"])
        if (video.get("duration") or 0) > request["max_duration_s"]:
            raise _RefusedError("too_long", video["duration"])
        downloader.process_ie_result(video, download=True)
    return str(video.get("title") or request["video_id"])[:MAX_TITLE_CHARS]


def _access(request: dict[str, Any]) -> dict[str, Any]:
    """The options for what the operator allows the downloader to use."""
    from yt_dlp import parse_options

    options: dict[str, Any] = {}
    if request["proxy"]:
        options["proxy"] = request["proxy"]
    if request["cookies"]:
        try:
            # As a stream, which yt-dlp writes back to at its end; several downloads would write over each other's file.
            options["cookiefile"] = io.StringIO(Path(request["cookies"]).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise _RefusedError("misconfigured", f"cookies: {type(error).__name__}") from error
    if request["extractor_args"]:
        arguments = [word for given in request["extractor_args"] for word in ("--extractor-args", given)]
        try:
            options["extractor_args"] = parse_options(["--ignore-config", *arguments]).ydl_opts["extractor_args"]
        except SystemExit as error:
            raise _RefusedError("misconfigured", "extractor_args") from error
    return options


def _smallest(formats: list[dict[str, Any]], min_side: int) -> Iterator[dict[str, Any]]:
    """The stream to download: without sound if there is one, the smallest that covers `min_side`, else the largest.

    Only plain HTTP: playlists of fragments would need ffmpeg or many requests.
    """

    def cost(stream: dict[str, Any]) -> tuple[object, ...]:
        side = min(stream.get("height") or 0, stream.get("width") or stream.get("height") or 0)
        codec = next((rank for rank, name in enumerate(_CODECS) if stream["vcodec"].startswith(name)), len(_CODECS))
        return (
            stream.get("acodec") != "none",
            side < min_side,
            side if side >= min_side else -side,
            codec,
            stream.get("fps") or 0,
            stream.get("tbr") or 0,
        )

    streams = [
        stream
        for stream in formats
        if stream.get("protocol") in ("http", "https") and (stream.get("vcodec") or "none") != "none"
    ]
    yield from sorted(streams, key=cost)[:1]


class _Listener:
    """Receives yt-dlp's messages; keeps the warnings, which explain a later error."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings

    def debug(self, message: str) -> None:
        """Progress; ignored."""

    def warning(self, message: str) -> None:
        """May explain a later error."""
        self._warnings.append(message)

    def error(self, message: str) -> None:
        """Also raised as an exception."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes; yt-dlp keeps them in attributes of its own."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or cause in seen:
            continue
        seen.append(cause)
        yield cause
        inner = (getattr(cause, "exc_info", None) or (None, None))[1]
        waiting += [inner, getattr(cause, "cause", None), cause.__cause__, cause.__context__]


def _code(error: BaseException, warnings: list[str]) -> str:
    """The error's code among the failures of `actreel.youtube.fetch`."""
    from yt_dlp.cookies import CookieLoadError
    from yt_dlp.networking.exceptions import HTTPError, ProxyError, RequestError
    from yt_dlp.utils import GeoRestrictedError, YoutubeDLError

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, _RefusedError):
            return cause.code
        if isinstance(cause, GeoRestrictedError):
            return "region_restricted"
        refused_by_proxy = isinstance(cause, HTTPError) and cause.status == 407
        if refused_by_proxy or isinstance(cause, (CookieLoadError, ProxyError)):
            return "misconfigured"
    said = " ".join(map(str, causes))
    unreached = any(isinstance(cause, RequestError) and not isinstance(cause, HTTPError) for cause in causes)
    if unreached or re.search(_HUNG_UP, said, re.IGNORECASE):
        return "timeout" if "timed out" in said else "no_network"
    code = next((code for code, pattern in _MESSAGES if re.search(pattern, said, re.IGNORECASE)), None)
    if code in (None, "out_of_date") and re.search(_NO_JAVASCRIPT, " ".join(warnings), re.IGNORECASE):
        return "no_javascript"
    return code or ("out_of_date" if isinstance(error, YoutubeDLError) else "failed")


if __name__ == "__main__":
    main()
