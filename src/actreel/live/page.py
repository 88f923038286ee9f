"""`actreel watch --page`: what is seen, live in a browser on this machine.

The page is for whoever runs the command: it listens on loopback only, its address holds a secret that other users of
the machine do not know, and it answers only to its own name, so that no other site's page can reach it (DNS rebinding).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Condition, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.errors import ConfigError
from actreel.video.opencv import cv2

HOST = "127.0.0.1"
LONGEST_SIDE = 960
"""Pixels of a picture's longer side on the page."""

SILENCE_S = 10.0
"""Seconds after which a stream without news gets an empty line, which fails where the browser has gone."""

NEXT_PART = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
"""What starts a picture in the stream of them."""

FILES = {
    "": ("index.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "style.css": ("style.css", "text/css"),
}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Newest:
    """The newest of something, for threads that wait for it; what nobody has taken in time is gone."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._value: Any = None
        self._number = 0
        self._ended = False

    def put(self, value: Any) -> None:
        """Replaces what there is."""
        with self._changed:
            self._value, self._number = value, self._number + 1
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def each(self) -> Iterator[Any]:
        """The newest, whenever it has changed; None where it has not for `SILENCE_S` seconds."""
        seen = 0
        while True:
            with self._changed:
                told = self._changed.wait_for(partial(self._has_news, seen), SILENCE_S)
                if told and self._number == seen:
                    return
                value, seen = (self._value if told else None), self._number
            yield value

    def _has_news(self, seen: int) -> bool:
        return self._number > seen or self._ended


class LivePage:
    """The page, from the start of the server to its end.

        with LivePage(source, port) as page:
            print(page.address)
            page.picture(frame)
            page.tell({"label": "Wave"})

    Args:
        source: What is watched, for its title; without a password.
        port: Where it listens; 0 takes a free one.

    Raises:
        ConfigError: The port is in use.
    """

    def __init__(self, source: str, port: int = 0) -> None:
        self._source = source
        self._sights = Newest()
        self._pictures = Newest()
        self._secret = secrets.token_urlsafe(16)
        page = self

        class Handler(_Handler):
            live = page

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(
                f"The page cannot listen at {HOST}, port {port}: {reason}. Leave --port out, and a free one is taken."
            ) from error
        self._server.daemon_threads = True
        # A browser that does not read must not hold the program up at its end.
        self._server.block_on_close = False
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="page", daemon=True)

    def __enter__(self) -> LivePage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sights.end()
        self._pictures.end()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where it is opened."""
        return f"http://{HOST}:{self._server.server_port}/{self._secret}/"

    def tell(self, sight: dict[str, Any]) -> None:
        """Shows what is seen from now on."""
        self._sights.put(sight)

    def picture(self, frame: NDArray[np.uint8]) -> None:
        """Shows a frame, uint8 (H, W, 3), RGB; it is encoded only if somebody looks."""
        self._pictures.put(frame)

    def answers_to(self, host: str | None) -> bool:
        """Whether a request names this server, and not a name that was made to lead here."""
        return host in {f"{name}:{self._server.server_port}" for name in (HOST, "localhost")}

    def place(self, path: str) -> str | None:
        """The part of a path behind the secret; None without it."""
        prefix = f"/{self._secret}/"
        # Bytes: what is compared may not be ASCII.
        given, wanted = path[: len(prefix)].encode(), prefix.encode()
        return path[len(prefix) :] if secrets.compare_digest(given, wanted) else None

    def events(self) -> Iterator[bytes]:
        """What is seen, as server-sent events."""
        yield b"event: source\ndata: " + json.dumps(self._source).encode() + b"\n\n"
        for sight in self._sights.each():
            yield b":\n\n" if sight is None else b"data: " + json.dumps(sight).encode() + b"\n\n"

    def pictures(self) -> Iterator[bytes]:
        """The frames, as parts of a multipart document."""
        # With the start of the next part, or a browser would show each frame only when the next one comes.
        yield NEXT_PART
        for frame in self._pictures.each():
            if frame is not None:
                yield _as_jpeg(frame) + b"\r\n" + NEXT_PART


def _as_jpeg(frame: NDArray[np.uint8]) -> bytes:
    scale = LONGEST_SIDE / max(frame.shape[:2])
    if scale < 1:
        frame = np.asarray(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1].tobytes()


class _Handler(BaseHTTPRequestHandler):
    """One request of the page's."""

    live: LivePage
    timeout = 30
    server_version = "actreel"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers with a file of the page, what is seen, or the frames."""
        place = self.live.place(self.path) if self.live.answers_to(self.headers.get("Host")) else None
        with suppress(OSError):  # the browser has gone
            if place in FILES:
                name, kind = FILES[place]
                content = (files("actreel.live") / "web" / name).read_bytes()
                self._begin(HTTPStatus.OK, f"{kind}; charset=utf-8", len(content))
                self.wfile.write(content)
            elif place == "events":
                self._stream("text/event-stream", self.live.events())
            elif place == "pictures":
                self._stream("multipart/x-mixed-replace; boundary=frame", self.live.pictures())
            else:
                self._begin(HTTPStatus.NOT_FOUND, "text/plain", 0)

    def _stream(self, kind: str, pieces: Iterator[bytes]) -> None:
        self._begin(HTTPStatus.OK, kind)
        for piece in pieces:
            self.wfile.write(piece)

    def _begin(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The terminal is for what is seen."""
