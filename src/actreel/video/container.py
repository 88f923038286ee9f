"""Video files as PyAV reads them: the only file that opens them.

PyAV rather than OpenCV: from 4.13 on, OpenCV's `retrieve()` reports success for interlaced frames and leaves its buffer
as it was, which may still hold another video's frame.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.container
import av.error
import av.filter
import av.logging
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from actreel.errors import VideoCodecError, VideoError
from actreel.video.frames import decode_packet, display_matrix, make_convertible
from actreel.video.info import VideoInfo
from actreel.video.orientation import Orientation, orientation_of

# FFmpeg's complaints about a broken file would go straight to the terminal; our own error names the file.
av.logging.set_level(av.logging.PANIC)

FPS_TOLERANCE = 0.05
"""How far the stated frame rate may be from the frame times, as a share of it."""

HIGHEST_MEAN_FPS = 1000
"""Frames a second above which FFmpeg's mean rate is taken for an error: DV's comes out as 60000."""

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,vob,flv,live_flv,asf,ogg,gif,apng,nut,rm,wtv,mxf,"
    "dv,ivf,amv,nsv,swf,m4v,h264,hevc,av1,obu,mjpeg,yuv4mpegpipe,h263,h261,dirac,vc1,bink,smk,flic,roq,avr,mtv"
)
"""FFmpeg's demuxers of self-contained videos.

Playlists (HLS, DASH, concat, SDP) are missing on purpose: they make FFmpeg open any file or address that they name.
Still pictures and sound are missing too: they are not videos.
"""

OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}

PICTURE_BRANDS = frozenset({"avif", "heic", "heix", "mif1"})
"""Brands of still pictures in MP4's container."""

PICTURE_FORMATS = frozenset({"gif", "apng"})
"""Formats whose files are still pictures if they hold one frame."""

MJPEG_ENDINGS = (".mjpeg", ".mjpg")

MOST_ERRORS = 4096
"""Packets that may fail to decode before the rest of the file is taken for lost, as in OpenCV."""


class Video:
    """An open video file, read once from start to end.

    Attributes:
        num_decoded: Frames decoded so far.
    """

    def __init__(self, path: object, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        """Takes what has been opened; `path` is what messages call it."""
        self.num_decoded = 0
        self._path = path
        self._container = container
        self._stream = stream
        self._last_pts: int | None = None
        self._size = stream.codec_context.width, stream.codec_context.height
        self._orientation = Orientation()
        self._rgb_graph: tuple[tuple[int, int, str], av.filter.Graph] | None = None

    @property
    def tags(self) -> dict[str, str]:
        """What the file says of its recording, such as `creation_time` or `make`: keys in lower case."""
        found = self._container.metadata | self._stream.metadata
        return {name.lower(): value.strip() for name, value in found.items() if value.strip()}

    @property
    def time_base(self) -> Fraction | None:
        """Seconds in a unit of the frames' times."""
        return self._stream.time_base

    @property
    def start_s(self) -> float:
        """Seconds at which the container's first stream, of pictures or sound, starts."""
        return (self._container.start_time or 0) / av.time_base

    @property
    def pixel_shape(self) -> Fraction:
        """Width of a shown pixel as a share of its height; 1 where the file does not say."""
        ratio = self._stream.codec_context.sample_aspect_ratio or self._stream.sample_aspect_ratio
        found = Fraction(ratio) if ratio else Fraction(1)
        return 1 / found if self._orientation.transposed and found else found or Fraction(1)

    @property
    def sound(self) -> str | None:
        """FFmpeg's name of the first sound's codec; None without sound."""
        streams = self._container.streams.audio
        return str(streams[0].codec.canonical_name) if streams and streams[0].codec_context else None

    @property
    def header_frames(self) -> int:
        """Frames that the container claims; where it states none, its duration times the frame rate."""
        duration_s = (self._container.duration or 0) / av.time_base
        if duration_s <= 0 and self._stream.duration and self._stream.time_base:
            duration_s = float(self._stream.duration * self._stream.time_base)
        return max(0, self._stream.frames or int(duration_s * self.stated_fps + 0.5))

    @property
    def stated_fps(self) -> float:
        """Frames a second, as the container states or FFmpeg guesses from its first frames; 0 if unknown."""
        mean, guess = (float(rate or 0) for rate in (self._stream.average_rate, self._stream.guessed_rate))
        return mean if 0 < mean <= HIGHEST_MEAN_FPS else guess

    def frames(self) -> Iterator[av.VideoFrame]:
        """All frames in order; where the file is damaged, those that decode.

        Raises:
            VideoError: The video is to be turned by an angle that is no multiple of 90 degrees.
        """
        for frame in self._decoded():
            yield self._noted(frame)

    def _noted(self, frame: av.VideoFrame) -> av.VideoFrame:
        self.num_decoded += 1
        if frame.pts is not None:
            self._last_pts = frame.pts
        if self.num_decoded == 1:
            self._size = frame.width, frame.height
            self._orientation = orientation_of(display_matrix(frame, self._stream), self._path)
        return frame

    def read_packets(self) -> int:
        """Reads to the file's end without decoding; returns the number of packets."""
        num_packets = 0
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    num_packets += 1
                    self._last_pts = max(filter(None, (self._last_pts, packet.pts)), default=None)
        except av.error.FFmpegError:  # the file is cut off
            pass
        return num_packets

    @property
    def _last_ms(self) -> float:
        """Presentation time of the last frame read so far."""
        if self._last_pts is None or self._stream.time_base is None:
            return 0.0
        return (self._last_pts - (self._stream.start_time or 0)) * float(self._stream.time_base) * 1000

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for _ in range(MOST_ERRORS):
            try:
                # After an error, it goes on with the next packet.
                for packet in self._container.demux(self._stream):
                    yield from decode_packet(packet, self._stream.codec_context)
            except av.error.FFmpegError:
                continue
            return

    def to_rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Converts a decoded frame to uint8 (H, W, 3), RGB, turned and mirrored as the file says.

        A frame of another size than the first is scaled to that, as ffmpeg does.

        Raises:
            VideoError: FFmpeg did not convert it. Its buffer may then still hold a frame of another video.
        """
        make_convertible(frame)
        try:
            graph = self._converter(frame)
            graph.push(frame)
            rgb = graph.vpull()
        except (av.error.FFmpegError, ValueError) as error:
            raise _unconverted(self._path, frame, str(error)) from error
        if (rgb.format.name, rgb.width, rgb.height) != ("rgb24", *self._size):
            raise _unconverted(self._path, frame, f"it gave {rgb.format.name}, {rgb.width}x{rgb.height}")
        return self._orientation.apply(np.asarray(rgb.to_ndarray(), dtype=np.uint8))

    def _converter(self, frame: av.VideoFrame) -> av.filter.Graph:
        """FFmpeg's filters from frames like this one to RGB, as the program ffmpeg builds them.

        Their output comes from a pool of memory that belongs to this graph, and so to this video alone, and is zeroed.
        """
        key = (frame.width, frame.height, frame.format.name)
        if self._rgb_graph is None or self._rgb_graph[0] != key:
            graph = av.filter.Graph()
            graph.threads = 1
            filters = [
                graph.add_buffer(template=self._stream, width=frame.width, height=frame.height, format=frame.format),
                graph.add("scale", f"{self._size[0]}:{self._size[1]}:flags=bicubic"),
                graph.add("format", "rgb24"),
                graph.add("buffersink"),
            ]
            for before, after in pairwise(filters):
                before.link_to(after)
            graph.configure()
            self._rgb_graph = key, graph
        return self._rgb_graph[1]

    def describe(self, num_frames: int) -> VideoInfo:
        """What the video holds, if it holds `num_frames` frames.

        Raises:
            VideoError: No frame decodes, or the frame rate is unknown.
        """
        fps = self.stated_fps
        if self._last_ms > 0 and num_frames > 1:
            mean = (num_frames - 1) * 1000 / self._last_ms
            # FFmpeg guesses the rate from the first frames where a file states none (webcams, telephones, browsers).
            if abs(mean - fps) > FPS_TOLERANCE * fps:
                fps = mean
        if num_frames == 1 and self.num_decoded == 1 and self._container.format.name in PICTURE_FORMATS:
            raise _no_video(self._path)
        if num_frames == 0:
            raise VideoError(
                f"A video must hold at least 1 frame that decodes. Received: 0 in '{self._path}'. Replace or remove it."
            )
        if not 0 < fps < float("inf"):
            raise VideoError(
                f"A video must state its frame rate. Received: {fps} in '{self._path}'. "
                "Re-encode it: ffmpeg -i IN -r 25 OUT.mp4"
            )
        context = self._stream.codec_context
        sides = self._size[::-1] if self._orientation.transposed else self._size
        tag = context.codec_tag.strip("\0 ")
        return VideoInfo(
            fps=fps,
            num_frames=num_frames,
            header_frames=self.header_frames,
            width=sides[0],
            height=sides[1],
            duration_s=num_frames / fps,
            codec=tag if tag.isprintable() and len(tag) == 4 else context.name,
        )


def _codec_name(container: av.container.InputContainer) -> str:
    """The name or four-character code of a codec that has no decoder, which PyAV gives in this text only."""
    av.logging.set_level(av.logging.INFO)
    try:
        text = str(container.dumps_format())  # type: ignore[attr-defined]  # missing in PyAV's stubs
    finally:
        av.logging.set_level(av.logging.PANIC)
    found = re.search(r"Video: (\w+)(?:[^,/]*\((\w{4}) / )?", text)
    if found is None:
        return "unknown"
    return found[1] if found[1] not in ("none", "unknown") else found[2] or "unknown"


def _no_video(path: object) -> VideoError:
    return VideoError(
        f"A clip must be a video. Received: '{path}', which holds only sound or a still picture. Replace or remove it."
    )


def _unconverted(path: object, frame: av.VideoFrame, reason: str) -> VideoError:
    scan = "interlaced" if frame.interlaced_frame else "progressive"
    return VideoError(
        f"FFmpeg must convert each frame to RGB. Received: {frame.format.name}, {frame.width}x{frame.height}, {scan}, "
        f"from '{path}', which it did not convert: {reason}. "
        "Convert the video: ffmpeg -i IN -vf yadif -c:v libx264 -pix_fmt yuv420p OUT.mp4"
    )


def _rank(stream: av.VideoStream) -> tuple[bool, bool, int]:
    if stream.codec_context is None:
        return False, False, 0
    return True, bool(stream.disposition & Disposition.default), stream.width * stream.height


@contextmanager
def opened(path: Path) -> Iterator[Video]:
    """Opens a video file for one pass.

    Raises:
        VideoError: The file is missing, damaged or not a video.
        VideoCodecError: There is no decoder for it here.
    """
    with open_file(path) as container:
        yield Video(path, container, video_stream(path, container))


def open_file(path: Path) -> av.container.InputContainer:
    """Opens a file's container.

    Raises:
        VideoError: The file is missing, damaged or not a video.
    """
    # Path.is_file raises OSError for a name that is too long or behind a folder that may not be read.
    if not os.path.isfile(path):  # noqa: PTH113
        raise VideoError(f"A video must be a file. Received: '{path}'")
    # FFmpeg takes JPEG pictures in a row for a single one, if their first one has a header of its own.
    kinds = (None, "mjpeg") if path.suffix.lower() in MJPEG_ENDINGS else (None,)
    for kind in kinds:
        try:
            # "file:", because FFmpeg would take the name "concat:x" or "http:x" for a protocol.
            return av.open(f"file:{path.absolute()}", format=kind, options=OPTIONS, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            failure = error
    raise VideoError(
        f"A clip must be a video that FFmpeg can read. Received: '{path}', which is {_kind(path)}"
    ) from failure


def _kind(path: Path) -> str:
    """What a file is that FFmpeg does not open, and what to do."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        start = b""
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return "a WebP picture. Replace or remove it, or convert it if it moves: magick moving.webp clip.mp4"
    if start[:3] == b"FLV":
        return "cut off before its first frame. Fetch it again, or remove it."
    return "damaged or not a video. Replace or remove it."


def video_stream(path: object, container: av.container.InputContainer) -> av.VideoStream:
    """The stream of moving pictures that players show, to be decoded on one thread.

    Of several, that is the one marked as the default, then the one with the largest frames, then the first, as in
    ffmpeg; one that cannot be decoded here comes last.

    Raises:
        VideoError: There is none: sound, maybe with a cover, or a still picture.
        VideoCodecError: FFmpeg, as it is built here, has no decoder for it.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams or container.metadata.get("major_brand", "").strip() in PICTURE_BRANDS:
        raise _no_video(path)
    stream = max(streams, key=_rank)
    if stream.codec_context is None:
        raise VideoCodecError(_codec_name(container), path)
    stream.codec_context.thread_count = 1
    return stream
