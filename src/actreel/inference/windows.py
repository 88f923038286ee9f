"""Long videos: overlapping windows as long as the training clips, and their answers as segments over time.

A video is cut into equal parts, and the middle frame of each is decoded and resized once. A window is T parts in a
row, and windows overlap by half, so each frame serves two of them, and is encoded for both at once. A video not much
longer than one training clip has one window, which is exactly `load_clip`'s clip.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.errors import VideoLimitError
from actreel.video.clips import fit_frame, middle_frames
from actreel.video.decode import VideoInfo, stream_frames

LONGEST_SINGLE = 1.5
"""A video shorter than this many training clips is one clip itself: training saw clips of such lengths whole."""


@dataclass(frozen=True)
class VideoLimits:
    """The largest video that is decoded.

    Attributes:
        max_pixels: Width times height.
        max_frames: Frames that decode.
        max_duration_s: Seconds, by the container's frame rate.
    """

    max_pixels: int
    max_frames: int
    max_duration_s: float

    def check(self, info: VideoInfo) -> None:
        """Refuses a video beyond the limits.

        Raises:
            VideoLimitError: Says which limit, and what to do.
        """
        if info.width * info.height > self.max_pixels:
            raise VideoLimitError(
                f"a video must have at most {self.max_pixels / 1e6:.1f} million pixels a frame. "
                f"Received: {info.width}x{info.height}. Shrink it."
            )
        if info.num_frames > self.max_frames:
            raise VideoLimitError(
                f"a video must have at most {self.max_frames} frames. Received: {info.num_frames}. Cut it."
            )
        if info.duration_s > self.max_duration_s:
            raise VideoLimitError(
                f"a video must last at most {self.max_duration_s:g} s. Received: {info.duration_s:.0f} s. Cut it."
            )


@dataclass(frozen=True)
class WindowPlan:
    """How a video is covered by windows.

    Attributes:
        clip_frames: Parts in a window, T.
        hop: Parts from the start of a window to the start of the next.
        num_windows: Windows in the video.
    """

    clip_frames: int
    hop: int
    num_windows: int

    @property
    def num_parts(self) -> int:
        """Equal parts of the video, each with one sampled frame; the last window ends with the last part."""
        return self.clip_frames + (self.num_windows - 1) * self.hop


def window_length(durations_s: list[float]) -> float:
    """How long the windows over a long video are, for a model trained on clips of these durations.

    As long as the median clip; but where some are much longer, long enough for the longest to be one clip still, as
    it was in training: else the service would see a clip in another way than the evaluation did.

    Args:
        durations_s: Seconds of each clip.
    """
    return max(float(np.median(durations_s)), 1.01 * max(durations_s) / LONGEST_SINGLE)


def plan_windows(info: VideoInfo, spec: ClipSpec, clip_duration_s: float | None) -> WindowPlan:
    """Covers a video with windows.

    The number of windows is rounded, and their length stretched a little to end where the video ends.

    Args:
        info: The video's frames and duration.
        spec: Clip settings; T is `spec.num_frames`.
        clip_duration_s: How long the training clips are; None covers any video with one window.
    """
    hop = max(1, spec.num_frames // 2)
    num_windows = 1
    if clip_duration_s is not None and info.duration_s >= LONGEST_SINGLE * clip_duration_s:
        hops = (info.duration_s / clip_duration_s - 1) * spec.num_frames / hop
        # More parts than frames would only repeat frames.
        num_windows += min(max(1, round(hops)), max(0, info.num_frames - spec.num_frames) // hop)
    return WindowPlan(spec.num_frames, hop, num_windows)


def stream_parts(
    path: Path,
    spec: ClipSpec,
    clip_duration_s: float | None,
    *,
    limits: VideoLimits | None = None,
    on_plan: Callable[[WindowPlan, VideoInfo], None] = lambda plan, info: None,
    on_frame: Callable[[int, NDArray[np.uint8]], None] = lambda place, frame: None,
) -> Generator[tuple[int, NDArray[np.uint8]], None, VideoInfo]:
    """Decodes a video's sampled frames one by one, in constant memory.

    Args:
        path: The video.
        spec: Clip settings, the same as in training.
        clip_duration_s: As for `plan_windows`.
        limits: What is refused; None refuses nothing.
        on_plan: Called before a pass's first frame; a second call voids all frames so far (see `stream_frames`).
        on_frame: Called with the count of frames converted in this pass and each frame at its full size.

    Yields:
        Part, from 0, and its frame, uint8 (H, W, 3), RGB.

    Returns:
        What the video holds.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
        VideoLimitError: The video is beyond the limits.
    """
    converted = 0

    def choose(info: VideoInfo) -> NDArray[np.int64]:
        nonlocal converted
        if limits is not None:
            limits.check(info)
        converted = 0
        plan = plan_windows(info, spec, clip_duration_s)
        on_plan(plan, info)
        return middle_frames(info.num_frames, plan.num_parts)

    def convert(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal converted
        on_frame(converted, frame)
        converted += 1
        return fit_frame(frame, spec)

    stream = stream_frames(path, choose, convert, *([limits.max_frames] if limits else []))
    return (yield from stream)


class WindowBuffer:
    """Turns sampled frames, as they come, into windows of encoded frames.

    From one push to the next it holds less than one window.

    Args:
        plan: The video's windows.
        encode: The part of the model that sees one frame: uint8 (n, H, W, 3) to an array of n rows.
    """

    def __init__(self, plan: WindowPlan, encode: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> None:
        self._plan = plan
        self._encode = encode
        self._encoded: list[NDArray[Any]] = []

    def push(self, frames: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Takes the next frames, uint8 (n, H, W, 3); gives the windows that they complete, T encoded frames each."""
        # A hop at a time, since the encoder's memory grows with the frames that it is given at once.
        for start in range(0, len(frames), self._plan.hop):
            self._encoded.extend(self._encode(frames[start : start + self._plan.hop]))
        windows = []
        while len(self._encoded) >= self._plan.clip_frames:
            windows.append(np.stack(self._encoded[: self._plan.clip_frames]))
            del self._encoded[: self._plan.hop]
        return windows


@dataclass(frozen=True)
class Segment:
    """What is seen between two moments.

    Attributes:
        start_s: Seconds from the video's start.
        end_s: Seconds from the video's start.
        place: The action, as a position in the model's outputs.
        confidence: Its mean probability over the segment.
    """

    start_s: float
    end_s: float
    place: int
    confidence: float


def segments_of(probabilities: NDArray[np.float32], plan: WindowPlan, duration_s: float) -> list[Segment]:
    """The actions over time.

    Windows are smoothed with their neighbours (1:2:1), so that one odd window makes no segment of its own; each part
    then takes the mean of the windows that cover it.

    Args:
        probabilities: float32 (W, K), of the windows so far, W >= 1.
        plan: The video's windows, at least W.
        duration_s: The whole video's, in seconds.

    Returns:
        Segments in order, without gaps, up to where the windows so far reach.
    """
    padded = np.concatenate([probabilities[:1], probabilities, probabilities[-1:]])
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    reached = plan.clip_frames + (len(smooth) - 1) * plan.hop
    scores = np.zeros((reached, smooth.shape[1]))
    cover = np.zeros((reached, 1))
    for window, score in enumerate(smooth):
        parts = slice(window * plan.hop, window * plan.hop + plan.clip_frames)
        scores[parts] += score
        cover[parts] += 1
    scores /= cover
    best = scores.argmax(axis=1)
    borders = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), reached]
    part_s = duration_s / plan.num_parts
    return [
        Segment(start * part_s, end * part_s, int(best[start]), float(scores[start:end, best[start]].mean()))
        for start, end in pairwise(borders)
    ]


@dataclass(frozen=True)
class Recognition:
    """A model's answer for a whole video.

    Attributes:
        probabilities: float32 (K,), the mean over the windows.
        distances: float32 (W,), how far each window is from all that was learned.
        segments: The actions over time.
        info: What the video holds.
    """

    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]
    segments: list[Segment]
    info: VideoInfo


def recognise(
    path: Path,
    spec: ClipSpec,
    clip_duration_s: float | None,
    encode: Callable[[NDArray[np.uint8]], NDArray[Any]],
    score: Callable[[NDArray[Any]], tuple[NDArray[np.float32], float]],
) -> Recognition:
    """Watches a video from start to end.

    Args:
        path: The video.
        spec: Clip settings, the same as in training.
        clip_duration_s: As for `plan_windows`.
        encode: As for `WindowBuffer`.
        score: The rest of the model: a window of encoded frames to probabilities, float32 (K,), and distance.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
    """
    plan = WindowPlan(spec.num_frames, 1, 1)
    buffer = WindowBuffer(plan, encode)
    frames: list[NDArray[np.uint8]] = []
    windows: list[tuple[NDArray[np.float32], float]] = []

    def begin(new: WindowPlan, info: VideoInfo) -> None:
        nonlocal plan, buffer
        plan, buffer = new, WindowBuffer(new, encode)
        frames.clear()
        windows.clear()

    def watch() -> None:
        windows.extend(score(window) for window in buffer.push(np.stack(frames)))
        frames.clear()

    stream = stream_parts(path, spec, clip_duration_s, on_plan=begin)
    while True:
        try:
            _, frame = next(stream)
        except StopIteration as end:
            if frames:
                watch()
            scores = np.stack([probabilities for probabilities, _ in windows])
            distances = np.array([distance for _, distance in windows], dtype=np.float32)
            info: VideoInfo = end.value
            return Recognition(scores.mean(axis=0), distances, segments_of(scores, plan, info.duration_s), info)
        frames.append(frame)
        if len(frames) == plan.hop:
            watch()
