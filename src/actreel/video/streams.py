"""What is watched while it happens: a camera, a stream at an address, or a file played as if it were live.

The sender of a stream is not trusted: the lists below say which formats and protocols FFmpeg may use for it, and frames
beyond `LARGEST` are refused before there is memory for them.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer

from actreel.errors import VideoError
from actreel.video.container import Video, open_file, video_stream
from actreel.video.frames import decode_packet
from actreel.video.info import VideoLimits

LARGEST = VideoLimits(max_pixels=4096 * 2304, max_frames=sys.maxsize, max_duration_s=float("inf"))
"""4K, as cameras send it."""

OPEN_TIMEOUT_S = 10.0
"""Seconds that opening a stream may take."""

SILENCE_S = 10.0
"""Seconds without a byte after which a stream counts as broken."""

HTTP_FORMATS = "mpegts,mpjpeg,mjpeg,matroska,webm,mov,mp4,flv,ogg,avi"
"""FFmpeg's demuxers of what cameras and servers stream over HTTP. HLS and DASH are missing: see `CONTAINERS`."""

WITHOUT_TIMES = frozenset({"mpjpeg", "mjpeg"})
"""Formats in which frames have no times: FFmpeg would number them as 25 a second, whatever the camera sends."""

# Decoders refuse larger frames before they ask for memory.
_CAPPED = {"max_pixels": str(LARGEST.max_pixels)}

# What FFmpeg reads before it begins: by default up to five seconds of the stream.
_SOON = {"analyzeduration": "1000000", "fflags": "nobuffer"}

_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}:none")}


@dataclass(frozen=True)
class Source:
    """Something to watch.

    Attributes:
        name: As the user gave it, without a password.
        kind: A file; a camera of this machine; an address.
        address: What FFmpeg opens.
    """

    name: str
    kind: Literal["file", "camera", "address"]
    address: str


def find_source(text: str) -> Source:
    """Reads what a user wants to watch: a number is a camera's, unless there is a file of that name.

    Raises:
        VideoError: It is neither a file, nor a camera's number, nor an address of a stream.
    """
    if "://" not in text and Path(text).is_file():
        return Source(text, "file", text)
    if re.fullmatch(r"[0-9]{1,3}", text):
        if sys.platform not in _CAMERAS:
            raise VideoError(
                f"Cameras by number are read on Linux and macOS. Received: camera {text} on {sys.platform}. "
                "Send it as a stream, and watch its address, such as rtsp://localhost:8554/camera"
            )
        return Source(f"camera {text}", "camera", _CAMERAS[sys.platform][1].format(text))
    scheme = text.partition("://")[0].lower()
    if scheme in ("rtsp", "rtsps", "http", "https"):
        return Source(_without_password(text), "address", text)
    raise VideoError(
        f"A source must be a video file, the number of a camera, or an address that begins with rtsp:// or http://. "
        f"Received: '{_without_password(text)}', which is none of them."
    )


def _without_password(address: str) -> str:
    with suppress(ValueError):
        user = urlsplit(address).netloc.rpartition("@")[0]
        if user:
            return address.replace(f"{user}@", "", 1)
    return address


class LiveVideo(Video):
    """A camera or a stream, read while it is sent.

    Attributes:
        num_skipped: Packets that `newest_frames` has thrown away so far.
        waited_s: Seconds that `newest_frames` waited for the last packet: if there are any, all that was sent before
            has been read.
    """

    num_skipped = 0
    waited_s = 0.0

    @property
    def has_times(self) -> bool:
        """Whether its frames say when they are to be shown."""
        return self._container.format.name not in WITHOUT_TIMES

    def newest_frames(self, skip: Callable[[], bool] = lambda: False) -> Iterator[av.VideoFrame]:
        """Frames in order; what breaks the transport ends them.

        Args:
            skip: Asked before each packet; once it says yes, packets are thrown away up to the next key frame.

        Raises:
            VideoError: The transport broke, or the video is turned by an angle that is no multiple of 90 degrees.
        """
        skipping = False
        try:
            packets = self._container.demux(self._stream)
            while True:
                since = time.monotonic()
                packet = next(packets, None)
                self.waited_s = time.monotonic() - since
                if packet is None:
                    return
                if packet.size:
                    skipping = skipping or skip()
                    if skipping and not packet.is_keyframe:
                        self.num_skipped += 1
                        continue
                    if skipping:
                        skipping = False
                        self._stream.codec_context.flush_buffers()
                with suppress(av.error.InvalidDataError):  # a damaged packet
                    for frame in decode_packet(packet, self._stream.codec_context):
                        yield self._noted(frame)
        except av.error.FFmpegError as error:
            raise VideoError(
                f"A stream must go on. Received: '{self._path}', which broke: {error.strerror}."
            ) from error


@contextmanager
def receiving(source: Source) -> Iterator[LiveVideo]:
    """Opens a source.

    Raises:
        VideoError: There is nothing, or it is not a video.
    """
    with open_file(Path(source.address)) if source.kind == "file" else _connected(source) as container:
        stream = video_stream(source.name, container)
        LARGEST.check_size(stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.options = _CAPPED
        yield LiveVideo(source.name, container, stream)


def _connected(source: Source) -> InputContainer:
    form, options = None, _CAPPED | _SOON
    if source.kind == "camera":
        form = _CAMERAS[sys.platform][0]
    elif source.address.lower().startswith("rtsp"):
        form = "rtsp"
        options |= {"rtsp_flags": "prefer_tcp", "protocol_whitelist": "rtsp,rtsps,rtp,srtp,udp,tcp,tls"}
    else:
        options |= {"format_whitelist": HTTP_FORMATS, "protocol_whitelist": "http,https,httpproxy,tcp,tls"}
    try:
        return av.open(
            source.address, format=form, options=options, metadata_errors="replace", timeout=(OPEN_TIMEOUT_S, SILENCE_S)
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"A source must be a camera or a stream that FFmpeg opens: rtsp://, or MPEG-TS, MJPEG, WebM or MP4 over "
            f"http://. Received: '{source.name}', and: {getattr(error, 'strerror', None) or error}. "
            "Is it there, and does another program show it?"
        ) from error
