"""Decoding: the only file that opens videos.

One pass of `grab()` with `retrieve()` on the wanted frames only, on one FFmpeg thread: pixel-identical to seeking
with `CAP_PROP_POS_FRAMES` and several times faster. Run one process a core rather than many threads in one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
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
"""How far the stated frame rate may be from the frames' own times, as a share."""


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
    convert: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> tuple[NDArray[np.uint8], VideoInfo]:
    """Decodes the frames that `choose` picks, once the number of frames is known: `stream_frames`, gathered.

    Args:
        path: The video.
        choose: Takes the number of frames, N >= 1, and gives ascending indices in [0, N), repeats allowed.
        convert: As for `stream_frames`.

    Returns:
        The frames, uint8 (len(indices), h, w, 3), RGB, and what the video holds.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
    """
    frames: list[NDArray[np.uint8]] = []
    stream = stream_frames(path, lambda info: choose(info.num_frames), convert)
    while True:
        try:
            place, frame = next(stream)
        except StopIteration as end:
            return np.stack(frames), end.value
        del frames[place:]
        frames.append(frame)


def stream_frames(
    path: Path,
    choose: Callable[[VideoInfo], NDArray[np.int64]],
    convert: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    max_frames: int = sys.maxsize,
) -> Generator[tuple[int, NDArray[np.uint8]], None, VideoInfo]:
    """Decodes the frames that `choose` picks, one by one, in constant memory.

    The container's frame count is only a guess, so the pass runs to the video's real end. Where the guess was wrong,
    a second pass takes the frames for the real count: the answer depends on what decodes and on nothing else.

    Args:
        path: The video.
        choose: Takes what the video holds (first as the container says; again, with the real count, where that was
            wrong) and gives ascending indices in [0, num_frames), repeats allowed. It may raise to refuse the video.
        convert: Applied once to each chosen frame, uint8 (H, W, 3) in RGB, as it is decoded (resize here, and
            memory does not grow with the video's size); all results must have one shape.
        max_frames: A video of more frames is refused, whatever its container says.

    Yields:
        Place among the indices, from 0, and the frame, uint8 (h, w, 3), RGB. A place 0 after others begins the
        second pass: what came before it is void.

    Returns:
        What the video holds.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
        VideoLimitError: The video has more than `max_frames` frames.
    """
    with _opened(path) as capture:
        guess = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        chosen = choose(_describe(path, capture, guess))
        num_frames = yield from _read(capture, chosen, convert, max_frames)
        info = _describe(path, capture, num_frames)
    if num_frames != guess:
        with _opened(path) as capture:
            again = yield from _read(capture, choose(info), convert, max_frames)
        if again != num_frames:
            raise VideoError(
                f"a video must decode alike each time. Received: {num_frames} frames, then {again}, from '{path}'. "
                "Is it still being written?"
            )
    return info


def _read(
    capture: _Capture,
    indices: NDArray[np.int64],
    convert: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    max_frames: int,
) -> Generator[tuple[int, NDArray[np.uint8]], None, int]:
    """One pass to the end: the converted frames in the order of `indices`, and how many frames there were."""
    wanted = indices.tolist()
    place = position = 0
    while capture.grab():
        if position >= max_frames:
            raise VideoLimitError(f"a video must have at most {max_frames} frames. Received: more. Cut it.")
        if place < len(wanted) and wanted[place] == position:
            decoded, bgr = capture.retrieve()
            if not decoded:
                break
            frame = convert(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8))
            while place < len(wanted) and wanted[place] == position:
                yield place, frame
                place += 1
        position += 1
    return position


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
