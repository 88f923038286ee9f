"""Decoding: passes over a video that convert the wanted frames only.

One pass over the file on one FFmpeg thread: pixel-identical to seeking and several times faster. Run one process per
core rather than many threads in one process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.errors import SignalError, VideoError, VideoLimitError
from actreel.video.container import Video, opened
from actreel.video.endings import is_signal
from actreel.video.info import VideoInfo, VideoLimits
from actreel.video.signals import describe_signal

DURATION_TOLERANCE = 0.25
"""How far a stated duration may be from the real one, as a fraction, before the video is decoded a second time."""

NO_PIXELS = np.empty((0, 0, 3), dtype=np.uint8)
"""The frame of a clip without a picture."""

Convert = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""What is done to each frame as it is decoded: uint8 (H, W, 3) to uint8 (h, w, 3)."""


def probe(path: Path) -> VideoInfo:
    """Decodes a video once, without converting its pixels, and describes it.

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
    """
    with opened(path) as video:
        for _ in video.frames():
            pass
        return video.describe(video.num_decoded)


def sample_frames(
    path: Path,
    choose: Callable[[int], NDArray[np.int64]],
    convert: Convert,
) -> tuple[NDArray[np.uint8], VideoInfo]:
    """Decodes the frames that `choose` picks, and returns them together.

    A clip without a picture is refused.

    Args:
        path: The video.
        choose: Maps the number of frames, N >= 1, to ascending indices in [0, N); repeats allowed.
        convert: As for `Pass.frames`.

    Returns:
        The frames, uint8 (len(indices), h, w, 3), RGB, and what the video holds.

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
    """
    if is_signal(path):
        raise SignalError(f"'{path.name}' holds signals, and here pictures are needed. Give a video.")
    frames: list[NDArray[np.uint8]] = []
    for attempt in decode_passes(path):
        frames = list(attempt.frames(choose(attempt.info.num_frames), convert))
    return np.stack(frames), attempt.info


def decode_passes(path: Path, limits: VideoLimits | None = None) -> Iterator[Pass | NoPictures]:
    """Decodes a video in one pass, or in two where its container states a wrong number of frames or a wrong duration.

    Which frames to take depends on how many there are, and the container's claims are only a guess. A pass therefore
    runs to the video's real end; where the guess was wrong, a second pass with the right numbers replaces the first.
    The result depends on what decodes and on nothing else:

        for attempt in decode_passes(path):
            frames = list(attempt.frames(choose(attempt.info), convert))

    Memory stays constant if the caller keeps no frames. Signals without a video are one pass without frames.

    Args:
        path: The video, or signals alone.
        limits: Limits on the video; None means no limits. A header that claims more is not refused at once: the packets
            are counted first.

    Yields:
        Each pass, whose frames must be read to the end before the next is asked for. The last one counts.

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
        VideoLimitError: The video is beyond the limits.
    """
    if is_signal(path):
        info = describe_signal(path)
        if limits is not None:
            limits.check_duration(info)
        yield NoPictures(info)
        return
    with opened(path) as video:
        guess = video.describe(max(1, video.header_frames))
        if limits is not None:
            limits.check_size(guess.width, guess.height)
        # A frame takes at least a byte.
        if guess.num_frames > path.stat().st_size or not (limits is None or limits.hold(guess)):
            guess = _count_packets(path)
            if limits is not None:
                limits.check(guess)
        first = Pass(video, guess, limits)
        yield first
    found = first.info
    if found.num_frames != guess.num_frames or not _alike(found.duration_s, guess.duration_s):
        with opened(path) as video:
            second = Pass(video, found, limits)
            yield second
        if second.info.num_frames != found.num_frames:
            raise VideoError(
                f"A video must decode to the same frames each time. Received: {found.num_frames} frames, then "
                f"{second.info.num_frames}, from '{path}'. Is it still being written?"
            )


def _count_packets(path: Path) -> VideoInfo:
    """What a video holds, counted without decoding it, which takes milliseconds."""
    with opened(path) as video:
        return video.describe(max(1, video.read_packets()))


def _alike(duration_s: float, guess_s: float) -> bool:
    return abs(duration_s - guess_s) <= DURATION_TOLERANCE * guess_s


class Pass:
    """One pass over a video, from its first frame to its last.

    Attributes:
        info: What the video holds: the container's claim until `frames` has ended, and what decoded from then on.
    """

    def __init__(self, video: Video, info: VideoInfo, limits: VideoLimits | None = None) -> None:
        self.info = info
        self._video = video
        self._limits = limits

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
            VideoLimitError: The video is beyond the limits.
        """
        wanted = deque(indices.tolist())
        for position, decoded in enumerate(self._video.frames()):
            if self._limits is not None:
                self._limits.check_size(decoded.width, decoded.height)  # it may change midway
                if position >= self._limits.max_frames:
                    raise VideoLimitError(
                        f"A video must have at most {self._limits.max_frames} frames. Received: more. Cut it shorter."
                    )
            if wanted and wanted[0] == position:
                frame = convert(self._video.to_rgb(decoded))
                while wanted and wanted[0] == position:
                    yield frame
                    wanted.popleft()
        self.info = self._video.describe(self._video.num_decoded)
        if self._limits is not None:
            self._limits.check(self.info)


class NoPictures:
    """The pass over a clip without a picture.

    Attributes:
        info: What its signals hold.
    """

    def __init__(self, info: VideoInfo) -> None:
        self.info = info

    def frames(self, indices: NDArray[np.int64], convert: Convert) -> Iterator[NDArray[np.uint8]]:
        """As `Pass.frames`: for each index a frame without pixels, uint8 (0, 0, 3), which is not converted."""
        for _ in indices:
            yield NO_PIXELS
