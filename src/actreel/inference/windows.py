"""Overlapping windows over a long video, each as long as the training clips.

A video is cut into equal parts, and the middle frame of each is decoded and resized once. A window is T consecutive
parts, and windows overlap by half, so each frame serves two of them and is encoded once. A video not much longer than
one training clip has one window, which is exactly `load_clip`'s clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec, TrackSpec
from actreel.video.clips import fit_frame, middle_frames
from actreel.video.decode import NoPictures, Pass, decode_passes
from actreel.video.info import VideoInfo, VideoLimits
from actreel.video.tracks import track_parts

Frames = NDArray[np.uint8]
"""Sampled frames, (n, H, W, 3), RGB."""

Track = NDArray[np.float32]
"""What a video has beside its pictures in the parts of such frames, (n, M)."""

OnFrame = Callable[[int, NDArray[np.uint8]], None]
"""Called with the count of sampled frames before, and each of them at full size."""

LONGEST_SINGLE = 1.5
"""A video shorter than this many training clips is a single clip: training saw clips of such lengths whole."""


def ignore_frame(count: int, frame: NDArray[np.uint8]) -> None:
    """The default `OnFrame`."""


@dataclass(frozen=True)
class WindowPlan:
    """How windows cover a video.

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
    """How long the windows over a long video are, in seconds, for a model trained on clips of these durations.

    As long as the median clip, but where some clips are much longer, long enough that the longest is still a single
    window, as it was in training. Otherwise the service would see a clip differently than evaluation did.

    Args:
        durations_s: Seconds of each clip.
    """
    return max(float(np.median(durations_s)), 1.01 * max(durations_s) / LONGEST_SINGLE)


def plan_windows(info: VideoInfo, spec: ClipSpec, clip_duration_s: float | None) -> WindowPlan:
    """Covers a video with windows.

    The number of windows is rounded, and their length stretched a little, to end where the video ends.

    Args:
        info: The video's frames and duration.
        spec: Clip settings; T is `spec.num_frames`.
        clip_duration_s: Length of the windows in seconds (`window_length`); None covers any video with one window.
    """
    hop = max(1, spec.num_frames // 2)
    num_windows = 1
    if clip_duration_s is not None and info.duration_s >= LONGEST_SINGLE * clip_duration_s:
        hops = (info.duration_s / clip_duration_s - 1) * spec.num_frames / hop
        # More parts than frames would only repeat frames.
        num_windows += min(max(1, round(hops)), max(0, info.num_frames - spec.num_frames) // hop)
    return WindowPlan(spec.num_frames, hop, num_windows)


class WindowPass:
    """One pass over a video's sampled frames; see `decode_passes` for when there are two.

    Attributes:
        plan: The video's windows, as planned when the pass began.
    """

    def __init__(
        self,
        decoding: Pass | NoPictures,
        spec: ClipSpec,
        clip_duration_s: float | None,
        path: Path,
        track: TrackSpec | None,
    ) -> None:
        self.plan = plan_windows(decoding.info, spec, clip_duration_s)
        self._decoding = decoding
        self._spec = spec
        self._path = path
        self._track = track

    @property
    def info(self) -> VideoInfo:
        """What the video holds: the container's claim until `frames` has ended, what decoded from then on."""
        return self._decoding.info

    def frames(self, on_frame: OnFrame = ignore_frame) -> Iterator[NDArray[np.uint8]]:
        """The middle frame of each part, resized.

        Args:
            on_frame: Called with the count of frames converted before in this pass, and each frame at full size.

        Yields:
            uint8 (H, W, 3), RGB, one for each of the plan's parts; uint8 (0, 0, 3) of a clip without a picture.

        Raises:
            VideoError: No frame decodes.
            VideoLimitError: The video has too many frames.
        """
        converted = 0

        def convert(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
            nonlocal converted
            on_frame(converted, frame)
            converted += 1
            return fit_frame(frame, self._spec)

        return self._decoding.frames(middle_frames(self.info.num_frames, self.plan.num_parts), convert)

    def batches(self, size: int, on_frame: OnFrame = ignore_frame) -> Iterator[tuple[Frames, Track | None]]:
        """Frames as `frames` yields them, stacked, with the track of their parts.

        Args:
            size: Frames in a batch.
            on_frame: As for `frames`.

        Yields:
            uint8 (n, H, W, 3), and float32 (n, M) or None if no track is asked for; n = `size` but for the last.

        Raises:
            VideoError: As for `frames`.
            VideoLimitError: As for `frames`.
        """
        info, track = self.info, None
        if self._track is not None:
            track = track_parts(self._path, self._track, info.duration_s, self.plan.num_parts)
        for frames in in_batches(self.frames(on_frame), size):
            yield frames, None if track is None else np.stack(list(islice(track, len(frames))))


def window_passes(
    path: Path,
    spec: ClipSpec,
    clip_duration_s: float | None,
    limits: VideoLimits | None = None,
    track: TrackSpec | None = None,
) -> Iterator[WindowPass]:
    """Decodes a video's sampled frames in constant memory.

    Args:
        path: The video.
        spec: Clip settings, the same as in training.
        clip_duration_s: As for `plan_windows`.
        limits: Limits on the video; None for none.
        track: What is taken beside the pictures; None for nothing.

    Yields:
        One pass, or two where the container's claims are wrong: the last one counts.

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
        VideoLimitError: The video is beyond the limits.
    """
    for decoding in decode_passes(path, limits):
        yield WindowPass(decoding, spec, clip_duration_s, path, track)


def in_batches(frames: Iterator[NDArray[np.uint8]], size: int) -> Iterator[NDArray[np.uint8]]:
    """Stacks frames as they come: uint8 (n, H, W, 3), n = `size` but for the last."""
    batch: list[NDArray[np.uint8]] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield np.stack(batch)
            batch.clear()
    if batch:
        yield np.stack(batch)
