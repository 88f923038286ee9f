"""Decoding: the only file that opens videos.

One pass of `grab()` with `retrieve()` on the wanted frames only, on one FFmpeg thread: pixel-identical to seeking
with `CAP_PROP_POS_FRAMES` and several times faster. Run one process a core rather than many threads in one.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.errors import VideoError, VideoLimitError

# Before OpenCV loads: FFmpeg's complaints about a broken file would go straight to the user's terminal, and
# our own error names the file anyway.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

FPS_TOLERANCE = 0.05
"""How far the stated frame rate may be from the frame times, as a share of it."""

Convert = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""What is done to each frame as it is decoded: uint8 (H, W, 3) to uint8 (h, w, 3)."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        fps: Frames a second, as the container says; where the frames' own times tell otherwise, their mean.
        num_frames: Frames that really decode.
        header_frames: Frames that the container claims; wrong or 0 in many files.
        width: Columns in pixels, rotation applied.
        height: Rows in pixels, rotation applied.
        duration_s: `num_frames / fps`, in seconds.
        codec: Four-character code, such as `XVID`.
    """

    fps: float
    num_frames: int
    header_frames: int
    width: int
    height: int
    duration_s: float
    codec: str


def probe(path: Path) -> VideoInfo:
    """Decodes a video once, without converting its pixels, and tells what it holds.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
    """
    with _opened(path) as capture:
        num_frames = 0
        while capture.grab():
            num_frames += 1
        return _describe(path, capture, num_frames)


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
    with _opened(path) as capture:
        guess = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        first = Pass(path, capture, _describe(path, capture, guess), max_frames)
        yield first
    if first.info.num_frames != guess:
        with _opened(path) as capture:
            second = Pass(path, capture, first.info, max_frames)
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

    def __init__(self, path: Path, capture: _Capture, info: VideoInfo, max_frames: int) -> None:
        self.info = info
        self._path = path
        self._capture = capture
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
            VideoError: No frame decodes.
            VideoLimitError: There are too many frames.
        """
        wanted = deque(indices.tolist())
        position = 0
        while self._capture.grab():
            if position >= self._max_frames:
                raise VideoLimitError(
                    f"A video must have at most {self._max_frames} frames. Received: more. Cut it shorter."
                )
            if wanted and wanted[0] == position:
                decoded, bgr = self._capture.retrieve()
                if not decoded:
                    break
                frame = convert(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8))
                while wanted and wanted[0] == position:
                    yield frame
                    wanted.popleft()
            position += 1
        self.info = _describe(self._path, self._capture, position)


class _Capture:
    """A capture that remembers when its last frame is shown; OpenCV forgets that at the end of the file."""

    def __init__(self, source: cv2.VideoCapture) -> None:
        self._source = source
        self.get = source.get
        self.retrieve = source.retrieve
        self.last_ms = 0.0

    def grab(self) -> bool:
        grabbed = bool(self._source.grab())
        if grabbed:
            self.last_ms = self.get(cv2.CAP_PROP_POS_MSEC)
        return grabbed


@contextmanager
def _opened(path: Path) -> Iterator[_Capture]:
    if not path.is_file():
        raise VideoError(f"a video must be a file. Received: '{path}'")
    # The path is made absolute because FFmpeg would take "concat:x" or "http:x" for a protocol.
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.isOpened():
            raise VideoError(
                f"a clip must be a video that FFmpeg can read. Received: '{path}', which is damaged or no video. "
                "Replace or remove it."
            )
        yield _Capture(capture)
    finally:
        capture.release()


def _describe(path: Path, capture: _Capture, num_frames: int) -> VideoInfo:
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    if capture.last_ms > 0 and num_frames > 1:
        mean = (num_frames - 1) * 1000 / capture.last_ms
        # FFmpeg guesses the rate from the first frames where a file states none (webcams, telephones, browsers).
        if abs(mean - fps) > FPS_TOLERANCE * fps:
            fps = mean
    if num_frames == 0:
        raise VideoError(
            f"a video must hold at least 1 frame that decodes. Received: 0 in '{path}'. Replace or remove it."
        )
    if not 0 < fps < float("inf"):
        raise VideoError(
            f"a video must state its frame rate. Received: {fps} in '{path}'. Re-encode it, as with ffmpeg -r 25."
        )
    return VideoInfo(
        fps=fps,
        num_frames=num_frames,
        header_frames=max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))),
        width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        duration_s=num_frames / fps,
        codec=_fourcc(int(capture.get(cv2.CAP_PROP_FOURCC))),
    )


def _fourcc(code: int) -> str:
    return "".join(chr((code >> shift) & 0xFF) for shift in (0, 8, 16, 24)).strip("\0 ")
