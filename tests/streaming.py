"""A camera's stand-in on loopback: an HTTP server that sends a film as it happens, and is cut off when told."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from actreel.video.opencv import cv2

BOUNDARY = b"frame"


class Camera(ThreadingHTTPServer):
    """Sends one piece after the other, at a steady pace, again and again, to everyone who asks.

    Attributes:
        visits: How often it was asked.
        statuses: What the next answers say in place of a film.
    """

    daemon_threads = True

    def __init__(self, pieces: Sequence[bytes], interval_s: float, content_type: str, again: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pieces = pieces
        self.interval_s = interval_s
        self.content_type = content_type
        self.again = again
        self.visits = 0
        self.statuses: list[int] = []
        self.cut = threading.Event()

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.server_port}/camera"

    def cut_off(self) -> None:
        """Hangs up once: on whoever is being sent to, or is next."""
        self.cut.set()

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: Camera

    def do_GET(self) -> None:
        camera = self.server
        camera.visits += 1
        if camera.statuses:
            return self.send_error(camera.statuses.pop())
        self.send_response(200)
        self.send_header("Content-Type", camera.content_type)
        self.end_headers()
        for place in count():
            if place >= len(camera.pieces) and not camera.again:
                return None
            try:
                self.wfile.write(camera.pieces[place % len(camera.pieces)])
            except OSError:  # the reader has gone
                return None
            if camera.cut.wait(camera.interval_s):  # as a camera waits for its next frame
                camera.cut.clear()
                return None

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def filming(
    pieces: Sequence[bytes], interval_s: float, content_type: str = "video/mp2t", *, again: bool = False
) -> Iterator[Camera]:
    """Sends for as long as the context is open."""
    with Camera(pieces, interval_s, content_type, again) as camera:
        thread = threading.Thread(target=camera.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield camera
        finally:
            camera.again = False
            camera.shutdown()
            thread.join()


MOTION_JPEG = "multipart/x-mixed-replace; boundary=" + BOUNDARY.decode()


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1])


def motion_jpeg(pictures: Iterable[bytes]) -> list[bytes]:
    """What a network camera sends: one JPEG a piece."""
    head = b"--" + BOUNDARY + b"\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    return [head % len(picture) + picture + b"\r\n" for picture in pictures]


def transport_stream(frames: Iterable[NDArray[np.uint8]], rate: int = 25, key_every: int = 5) -> list[bytes]:
    """MPEG-TS with H.264, in one piece for each frame."""
    pieces = []
    target = io.BytesIO()
    options = {"g": str(key_every), "bf": "0", "tune": "zerolatency"}
    with av.open(target, "w", format="mpegts", options={"flush_packets": "1"}) as container:
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt = "yuv420p"
        first, *_ = frames = list(frames)
        stream.height, stream.width = first.shape[:2]
        for place, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = place, Fraction(1, rate)
            container.mux(stream.encode(picture))
            pieces.append(target.getvalue())
            target.seek(0)
            target.truncate()
    return pieces
