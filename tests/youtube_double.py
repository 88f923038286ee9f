"""YouTube on loopback. All of yt-dlp is real but for one seam: `YoutubeDL.urlopen` asks this machine instead.

As a module: `YouTubeDouble` is the server. As a program: `actreel.youtube.download` with the seam set.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

Send = Callable[[BaseHTTPRequestHandler, bytes], None]


def send_whole(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def send_without_length(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(content)


def send_endlessly(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(content * 8)


def send_half(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Promises all, and hangs up in the middle."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def send_and_hang(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])
    request.wfile.flush()
    threading.Event().wait(20)


def send_slowly(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """In 1000 parts, 100 s in all: a browser on a slow machine has the time to look, and to cancel."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    part = len(content) // 1000
    for place in range(0, len(content), part):
        request.wfile.write(content[place : place + part])
        threading.Event().wait(0.1)


def refuse(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_error(403)


@dataclass
class Uploaded:
    """A video that the double has."""

    content: bytes = b""
    title: str = "Somebody jumps"
    duration_s: int | None = 2
    playability: dict[str, Any] = field(default_factory=lambda: {"status": "OK"})
    details: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[tuple[int, int], ...] = ((256, 144), (426, 240), (640, 360), (1920, 1080))
    codecs: tuple[str, ...] = ("avc1.4d400c",)
    with_sound: bool = False
    n_challenge: bool = False
    send: Send = send_whole
    player_delay_s: float = 0

    def player(self, video_id: str) -> dict[str, Any]:
        streams = [
            {
                "itag": 100 + number,
                "url": f"https://rr1---sn-double.googlevideo.com/videoplayback?id={video_id}&height={height}&codec={codec}"
                + ("&n=challenge" if self.n_challenge else ""),
                "mimeType": f'video/mp4; codecs="{codec}{", mp4a.40.2" if self.with_sound else ""}"',
                "width": width,
                "height": height,
                "fps": 25,
                "bitrate": width * height + 1000 * number,
                "qualityLabel": f"{height}p",
                "quality": "small",
            }
            for number, ((width, height), codec) in enumerate(product(self.sizes, self.codecs))
        ]
        sound = {
            "itag": 140,
            "url": f"https://rr1---sn-double.googlevideo.com/videoplayback?id={video_id}&height=sound",
            "mimeType": 'audio/mp4; codecs="mp4a.40.2"',
            "bitrate": 1000,
            "audioQuality": "AUDIO_QUALITY_LOW",
        }
        playable = self.playability["status"] == "OK" and self.sizes
        return {
            "playabilityStatus": self.playability,
            "videoDetails": {"videoId": video_id, "title": self.title, "isLive": False, **self.details}
            | ({} if self.duration_s is None else {"lengthSeconds": str(self.duration_s)}),
            **({"streamingData": {"adaptiveFormats": [*streams, sound]}} if playable else {}),
        }


class YouTubeDouble:
    """Serves `videos`, by their ids, and notes in `downloads` which stream of which video was taken."""

    def __init__(self) -> None:
        self.videos: dict[str, Uploaded] = {}
        self.asked: list[str] = []
        self.downloads: list[tuple[str, str, str]] = []
        self.cookies: set[str] = set()
        self.po_tokens: set[str] = set()
        self.has_deno = True
        double = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

            def do_GET(self) -> None:
                double.answer(self)

            def do_POST(self) -> None:
                double.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def downloader(self) -> tuple[str, ...]:
        """For `actreel.youtube.DOWNLOADER`."""
        return (sys.executable, "-P", __file__, str(self.server.server_port), *([] if self.has_deno else ["no-deno"]))

    @contextmanager
    def running(self) -> Iterator[YouTubeDouble]:
        thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        # The seam puts the host that yt-dlp wanted first in the path.
        parts = urlsplit(request.path)
        _, host, path = parts.path.split("/", 2)
        self.asked.append(f"{host}/{path}")
        length = int(request.headers.get("Content-Length") or 0)
        asked = json.loads(request.rfile.read(length) or b"{}")
        self.cookies.add(request.headers.get("Cookie", ""))
        with suppress(ConnectionError):
            if host.endswith(".googlevideo.com"):
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.po_tokens.add(query.get("pot", ""))
                self.downloads.append((query["id"], query["height"], query.get("codec", "")))
                video = self.videos[query["id"]]
                video.send(request, video.content)
            elif host == "www.youtube.com" and path == "youtubei/v1/player":
                video = self.videos[asked["videoId"]]
                threading.Event().wait(video.player_delay_s)
                send_whole(request, json.dumps(video.player(asked["videoId"])).encode())
            elif host == "www.youtube.com" and path == "youtubei/v1/next":
                send_whole(request, json.dumps({"contents": {"nothing": {}}}).encode())
            elif host == "www.youtube.com" and (path == "watch" or path.startswith("embed/")):
                client = {"clientName": "WEB" if path == "watch" else "WEB_EMBEDDED_PLAYER", "clientVersion": "2"}
                page = f"<script>ytcfg.set({json.dumps({'INNERTUBE_CONTEXT': {'client': client}})});</script>"
                send_whole(request, page.encode())
            else:
                request.send_error(404)


def _download_from(port: str, without_deno: bool) -> None:
    from yt_dlp import YoutubeDL
    from yt_dlp.networking import Request
    from yt_dlp.utils import _jsruntime

    from actreel.youtube import download

    real = YoutubeDL.urlopen

    def urlopen(self: Any, wanted: Any) -> Any:
        request = Request(wanted) if isinstance(wanted, str) else wanted
        parts = urlsplit(request.url)
        if cookies := self.cookiejar.get_cookie_header(request.url):  # of the host that was wanted
            request.headers["Cookie"] = cookies
        request.url = f"http://127.0.0.1:{port}/{parts.netloc}{parts.path}?{parts.query}"
        return real(self, request)

    YoutubeDL.urlopen = urlopen
    if without_deno:
        _jsruntime._find_exe = lambda name: f"no-such-{name}"
    download.main()


if __name__ == "__main__":
    _download_from(sys.argv[1], without_deno="no-deno" in sys.argv)
