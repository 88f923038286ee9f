"""Decoding: the only file that opens videos.

One pass over the file that converts the wanted frames only, on one FFmpeg thread: pixel-identical to seeking and
several times faster. Run one process a core rather than many threads in one.

PyAV rather than OpenCV: from 4.13 on, OpenCV's `retrieve()` reports success for interlaced frames and leaves its buffer
as it was, which may still hold another video's frame.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.container
import av.error
import av.filter
import av.logging
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from actreel.errors import VideoCodecError, VideoError, VideoLimitError

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
Still pictures and sound are missing too: they are no videos.
"""

PICTURE_BRANDS = frozenset({"avif", "heic", "heix", "mif1"})
"""Brands of still pictures in MP4's container."""

PICTURE_FORMATS = frozenset({"gif", "apng"})
"""Formats whose files are still pictures if they hold one frame."""

MOST_ERRORS = 4096
"""Packets that may fail to decode before the rest of the file is taken for lost, as in OpenCV."""

Convert = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""What is done to each frame as it is decoded: uint8 (H, W, 3) to uint8 (h, w, 3)."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        fps: Frames a second, as the container states; where the frame times differ from it, their mean.
        num_frames: Frames that really decode.
        header_frames: Frames that the container claims; wrong or 0 in many files.
        width: Columns in pixels, rotation applied.
        height: Rows in pixels, rotation applied.
        duration_s: `num_frames / fps`, in seconds.
        codec: Four-character code, such as `XVID`, or FFmpeg's name of the codec.
    """

    fps: float
    num_frames: int
    header_frames: int
    width: int
    height: int
    duration_s: float
    codec: str


def probe(path: Path) -> VideoInfo:
    """Decodes a video once, without converting its pixels, and describes it.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
    """
    with _opened(path) as video:
        for _ in video.frames():
            pass
        return video.describe(video.num_decoded)


def sample_frames(
    path: Path,
    choose: Callable[[int], NDArray[np.int64]],
    convert: Convert,
) -> tuple[NDArray[np.uint8], VideoInfo]:
    """Decodes the frames that `choose` picks, and returns them together.

    Args:
        path: The video.
        choose: Maps the number of frames, N >= 1, to ascending indices in [0, N); repeats allowed.
        convert: As for `Pass.frames`.

    Returns:
        The frames, uint8 (len(indices), h, w, 3), RGB, and what the video holds.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
    """
    frames: list[NDArray[np.uint8]] = []
    for attempt in decode_passes(path):
        frames = list(attempt.frames(choose(attempt.info.num_frames), convert))
    return np.stack(frames), attempt.info


def decode_passes(path: Path, max_frames: int = sys.maxsize) -> Iterator[Pass]:
    """Decodes a video in one pass, or in two where its container states a wrong number of frames.

    Which frames to take depends on how many there are, and the container's count is only a guess. A pass therefore
    runs to the video's real end; where the guess was wrong, a second pass with the right count replaces the first.
    The result depends on what decodes and on nothing else:

        for attempt in decode_passes(path):
            frames = list(attempt.frames(choose(attempt.info), convert))

    Memory stays constant if the caller keeps no frames.

    Args:
        path: The video.
        max_frames: A video of more frames is refused, whatever its container says.

    Yields:
        Each pass, whose frames must be read to the end before the next is asked for. The last one counts.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
        VideoLimitError: The video has more than `max_frames` frames.
    """
    with _opened(path) as video:
        guess = max(1, video.header_frames)
        first = Pass(video, video.describe(guess), max_frames)
        yield first
    if first.info.num_frames != guess:
        with _opened(path) as video:
            second = Pass(video, first.info, max_frames)
            yield second
        if second.info.num_frames != first.info.num_frames:
            raise VideoError(
                f"A video must decode to the same frames each time. Received: {first.info.num_frames} frames, then "
                f"{second.info.num_frames}, from '{path}'. Is it still being written?"
            )


class Pass:
    """One pass over a video, from its first frame to its last.

    Attributes:
        info: What the video holds: the container's claim until `frames` has ended, and what decoded from then on.
    """

    def __init__(self, video: _Video, info: VideoInfo, max_frames: int) -> None:
        self.info = info
        self._video = video
        self._max_frames = max_frames

    def frames(self, indices: NDArray[np.int64], convert: Convert) -> Iterator[NDArray[np.uint8]]:
        """Decodes to the end of the video.

        Args:
            indices: Which frames to take: ascending, in [0, info.num_frames), repeats allowed.
            convert: Applied once to each of them, uint8 (H, W, 3) in RGB, as it is decoded (resize here, and memory
                does not grow with the video's size); all results must have one shape.

        Yields:
            uint8 (h, w, 3), RGB: one frame for each index. Fewer where the video ends early.

        Raises:
            VideoError: No frame decodes, or one cannot be converted to RGB.
            VideoLimitError: There are too many frames.
        """
        wanted = deque(indices.tolist())
        for position, decoded in enumerate(self._video.frames()):
            if position >= self._max_frames:
                raise VideoLimitError(
                    f"A video must have at most {self._max_frames} frames. Received: more. Cut it shorter."
                )
            if wanted and wanted[0] == position:
                frame = convert(self._video.to_rgb(decoded))
                while wanted and wanted[0] == position:
                    yield frame
                    wanted.popleft()
        self.info = self._video.describe(self._video.num_decoded)


class _Video:
    """An open video file.

    Attributes:
        num_decoded: Frames decoded so far.
    """

    def __init__(self, path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self.num_decoded = 0
        self._path = path
        self._container = container
        self._stream = stream
        self._last_ms = 0.0
        self._turned = False
        self._to_rgb = VideoReformatter()
        self._as_progressive: tuple[tuple[int, int, str], av.filter.Graph] | None = None

    @property
    def header_frames(self) -> int:
        """Frames that the container claims; where it states none, its duration times the frame rate."""
        duration_s = (self._container.duration or 0) / av.time_base
        if duration_s <= 0 and self._stream.duration and self._stream.time_base:
            duration_s = float(self._stream.duration * self._stream.time_base)
        return max(0, self._stream.frames or int(duration_s * self._stated_fps + 0.5))

    @property
    def _stated_fps(self) -> float:
        mean, guess = (float(rate or 0) for rate in (self._stream.average_rate, self._stream.guessed_rate))
        return mean if 0 < mean <= HIGHEST_MEAN_FPS else guess

    def frames(self) -> Iterator[av.VideoFrame]:
        """All frames in order; where the file is damaged, those that decode."""
        start = self._stream.start_time or 0
        for frame in self._decoded():
            self.num_decoded += 1
            if frame.pts is not None and frame.time_base is not None:
                self._last_ms = (frame.pts - start) * float(frame.time_base) * 1000
            self._turned = abs(frame.rotation) % 180 == 90
            yield frame

    def _decoded(self) -> Iterator[av.VideoFrame]:
        errors = 0
        packets = self._container.demux(self._stream)
        while errors < MOST_ERRORS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:  # the file is cut off: the decoder may still hold frames
                packet = None
            try:
                yield from self._stream.codec_context.decode(packet)
            except av.error.FFmpegError:
                errors += 1
            if packet is None:
                return

    def to_rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Converts a decoded frame to uint8 (H, W, 3), RGB, rotation applied.

        Raises:
            VideoError: FFmpeg did not convert it. What is in the memory then may be another video's frame.
        """
        try:
            # swscale would convert the two fields of interlaced frames separately; ffmpeg itself does not.
            whole = self._progressive(frame) if frame.interlaced_frame else frame
            rgb = self._to_rgb.reformat(whole, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1)
        except (av.error.FFmpegError, ValueError) as error:
            raise _unconverted(self._path, frame, str(error)) from error
        if (rgb.format.name, rgb.width, rgb.height) != ("rgb24", frame.width, frame.height):
            raise _unconverted(self._path, frame, f"it gave {rgb.format.name}, {rgb.width}x{rgb.height}")
        pixels = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90)) if frame.rotation else pixels

    def _progressive(self, frame: av.VideoFrame) -> av.VideoFrame:
        key = (frame.width, frame.height, frame.format.name)
        if self._as_progressive is None or self._as_progressive[0] != key:
            graph = av.filter.Graph()
            graph.threads = 1
            source = graph.add_buffer(
                template=self._stream, width=frame.width, height=frame.height, format=frame.format
            )
            flag, sink = graph.add("setparams", "field_mode=prog"), graph.add("buffersink")
            source.link_to(flag)
            flag.link_to(sink)
            graph.configure()
            self._as_progressive = key, graph
        graph = self._as_progressive[1]
        graph.push(frame)
        return graph.vpull()

    def describe(self, num_frames: int) -> VideoInfo:
        """What the video holds, if it holds `num_frames` frames.

        Raises:
            VideoError: No frame decodes, or the frame rate is unknown.
        """
        fps = self._stated_fps
        if self._last_ms > 0 and num_frames > 1:
            mean = (num_frames - 1) * 1000 / self._last_ms
            # FFmpeg guesses the rate from the first frames where a file states none (webcams, telephones, browsers).
            if abs(mean - fps) > FPS_TOLERANCE * fps:
                fps = mean
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
        sides = (context.height, context.width) if self._turned else (context.width, context.height)
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


def _unconverted(path: Path, frame: av.VideoFrame, reason: str) -> VideoError:
    scan = "interlaced" if frame.interlaced_frame else "progressive"
    return VideoError(
        f"FFmpeg must convert each frame to RGB. Received: {frame.format.name}, {frame.width}x{frame.height}, {scan}, "
        f"from '{path}', which it did not convert: {reason}. "
        "Convert the video: ffmpeg -i IN -vf yadif -c:v libx264 -pix_fmt yuv420p OUT.mp4"
    )


@contextmanager
def _opened(path: Path) -> Iterator[_Video]:
    if not path.is_file():
        raise VideoError(f"A video must be a file. Received: '{path}'")
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        # "file:", because FFmpeg would take the name "concat:x" or "http:x" for a protocol.
        container = av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"A clip must be a video that FFmpeg can read. Received: '{path}', which is damaged or no video. "
            "Replace or remove it."
        ) from error
    with container:
        yield _Video(path, container, _video_stream(path, container))


def _video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    """The first stream of moving pictures.

    Raises:
        VideoError: There is none: sound, maybe with a cover, or a still picture.
        VideoCodecError: FFmpeg, as it is built here, has no decoder for it.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams or container.metadata.get("major_brand", "").strip() in PICTURE_BRANDS:
        raise VideoError(
            f"A clip must be a video. Received: '{path}', which holds sound or a still picture only. "
            "Replace or remove it."
        )
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoCodecError("unknown", path)
    stream.codec_context.thread_count = 1
    return stream
