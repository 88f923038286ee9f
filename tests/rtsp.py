"""A network camera's stand-in on loopback: RTSP with H.264 over TCP, as RFC 2326 and RFC 6184 say."""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

CLOCK = 90_000
START_CODE = re.compile(rb"\x00\x00\x00?\x01")
LAST_OF_FRAME = 0x80


def access_units(frames: Iterable[NDArray[np.uint8]], key_every: int = 5) -> list[list[bytes]]:
    """The NAL units of each frame, without start codes; the first has the stream's settings too."""
    first, *_ = frames = list(frames)
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = first.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options = {"g": str(key_every), "bf": "0", "tune": "zerolatency", "preset": "ultrafast"}
    packets = []
    for place, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts = place
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    return [[unit for unit in START_CODE.split(bytes(packet)) if unit] for packet in packets]


class RtspCamera(socketserver.ThreadingTCPServer):
    """Plays a film again and again to everyone who asks, at its own pace.

    Attributes:
        num_played: How often it began to play.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, frames: Iterable[NDArray[np.uint8]], interval_s: float = 0.04) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.units = access_units(frames)
        self.interval_s = interval_s
        self.num_played = 0
        self.cut = threading.Event()
        self.closing = False

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.server_address[1]}/live"

    def cut_off(self) -> None:
        """Hangs up once: on whoever is being sent to, or is next."""
        self.cut.set()

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news here."""


class _Session(socketserver.StreamRequestHandler):
    server: RtspCamera

    def handle(self) -> None:
        while words := self.rfile.readline().split():
            headers = {}
            while line := self.rfile.readline().strip():
                name, _, value = line.partition(b":")
                headers[name.lower()] = value.strip()
            self._answer(words[0], headers)
            if words[0] == b"PLAY":
                return self._play()
        return None

    def _answer(self, method: bytes, headers: dict[bytes, bytes]) -> None:
        lines, body = [], b""
        if method == b"OPTIONS":
            lines = ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"]
        elif method == b"DESCRIBE":
            body = self._description()
            lines = [
                f"Content-Base: {self.server.url}/",
                "Content-Type: application/sdp",
                f"Content-Length: {len(body)}",
            ]
        elif method == b"SETUP":
            lines = ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        elif method == b"PLAY":
            lines = ["Session: 1", "Range: npt=now-"]
        head = ["RTSP/1.0 200 OK", f"CSeq: {headers[b'cseq'].decode()}", *lines, "", ""]
        self.wfile.write("\r\n".join(head).encode() + body)

    def _description(self) -> bytes:
        settings = [unit for unit in self.server.units[0] if unit[0] & 31 in (7, 8)]
        sets = ",".join(base64.b64encode(unit).decode() for unit in settings)
        lines = [
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "m=video 0 RTP/AVP 96",
            f"a=rtpmap:96 H264/{CLOCK}", f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}",
            "a=framerate:25", "a=control:track1",
        ]  # fmt: skip
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _play(self) -> None:
        camera, sequence, place = self.server, 0, 0
        camera.num_played += 1
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not camera.closing:
            units = camera.units[place % len(camera.units)]
            for number, unit in enumerate(units):
                marked = 96 | (LAST_OF_FRAME if number == len(units) - 1 else 0)
                rtp = struct.pack(">BBHII", 0x80, marked, sequence & 0xFFFF, place * CLOCK // 25, 1) + unit
                sequence += 1
                try:
                    self.wfile.write(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                except OSError:  # the reader has gone
                    return
            place += 1
            if camera.cut.wait(camera.interval_s):  # as a camera waits for its next frame
                camera.cut.clear()
                return


@contextmanager
def rtsp_camera(frames: Iterable[NDArray[np.uint8]], interval_s: float = 0.04) -> Iterator[RtspCamera]:
    """Plays for as long as the context is open."""
    with RtspCamera(frames, interval_s) as camera:
        thread = threading.Thread(target=camera.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield camera
        finally:
            camera.closing = True
            camera.shutdown()
            thread.join()
