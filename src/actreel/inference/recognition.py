"""Scores a video's windows as its frames come: the one definition, for the command line and the service alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec, TrackSpec
from actreel.inference.answers import Pose
from actreel.inference.poses import SeenPoses
from actreel.inference.segments import Segment, segments_of
from actreel.inference.windows import Frames, OnFrame, Track, WindowPlan, ignore_frame, window_passes
from actreel.video.info import VideoInfo

Encode = Callable[..., NDArray[Any]]
"""The part of the model that sees one frame: uint8 (n, H, W, 3), and a track, float32 (n, M), if there is one, to an
array of n rows."""

ScoreWindow = Callable[[NDArray[Any]], tuple[NDArray[np.float32], float]]
"""The rest of the model: T encoded frames to probabilities, float32 (K,), and distance."""


@dataclass(frozen=True)
class Recognition:
    """A model's answer for a whole video.

    Attributes:
        probabilities: float32 (K,), the mean over the windows.
        distances: float32 (W,), how far each window is from the training clips.
        segments: The actions over time.
        info: What the video holds.
        people: As in `Answer`.
        poses: As in `Answer`.
    """

    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]
    segments: list[Segment]
    info: VideoInfo
    people: int | None = None
    poses: tuple[Pose, ...] | None = None


class EncodedWindows:
    """Encodes sampled frames, as they come, once each, and scores the windows that they complete.

    It holds one window of encoded frames, however many come.

    Args:
        clip_frames: Frames in a window, T.
        hop: Frames from the start of a window to the start of the next.
        encode: As `Encode`.
        score: As `ScoreWindow`.
        spacing: A window takes every so-many-th frame.
    """

    def __init__(self, clip_frames: int, hop: int, encode: Encode, score: ScoreWindow, spacing: int = 1) -> None:
        self._length = spacing * (clip_frames - 1) + 1
        self._batch = max(1, clip_frames // 2)
        self._hop = hop
        self._spacing = spacing
        self._encode = encode
        self._score = score
        self._encoded: deque[NDArray[Any]] = deque()
        self._passed_over = 0

    def push(self, frames: Frames, track: Track | None = None) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Takes the next frames, and what the video has beside them, if anything.

        Yields:
            Probabilities, float32 (K,), and distance of each window that they complete.
        """
        # Half a window at a time: the encoder's memory grows with the frames that it is given at once.
        for start in range(0, len(frames), self._batch):
            part = slice(start, start + self._batch)
            beside = () if track is None else (track[part],)
            for encoded in self._encode(frames[part], *beside):
                yield from self._take(encoded)

    def hold(self, count: int) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Takes the last frame again, `count` times, as `push` does."""
        for _ in range(count):
            yield from self._take(self._encoded[-1])

    def clear(self) -> None:
        """Forgets all frames: the next one starts a window."""
        self._encoded.clear()
        self._passed_over = 0

    def _take(self, encoded: NDArray[Any]) -> Iterator[tuple[NDArray[np.float32], float]]:
        self._encoded.append(encoded)
        if len(self._encoded) > self._length:
            self._encoded.popleft()
            self._passed_over += 1
        if len(self._encoded) == self._length and self._passed_over % self._hop == 0:
            yield self._score(np.stack(list(self._encoded)[:: self._spacing]))


class WindowScorer:
    """Scores the windows of a planned video as its sampled frames come.

    Between two pushes it holds one window of encoded frames.

    Args:
        plan: The video's windows.
        encode: As `Encode`.
        score: As `ScoreWindow`.
        max_distance: As for `segments_of`.
        poses: What `encode` keeps of the people in the frames, if it does.
    """

    def __init__(
        self,
        plan: WindowPlan,
        encode: Encode,
        score: ScoreWindow,
        max_distance: float | None = None,
        poses: SeenPoses | None = None,
    ) -> None:
        self.plan = plan
        self._max_distance = max_distance
        self._poses = poses
        self._windows = EncodedWindows(plan.clip_frames, plan.hop, encode, score)
        self._probabilities: list[NDArray[np.float32]] = []
        self._distances: list[float] = []

    @property
    def num_scored(self) -> int:
        """Windows scored so far."""
        return len(self._probabilities)

    def push(self, frames: Frames, track: Track | None = None) -> int:
        """Takes the next frames, as `EncodedWindows.push` does; returns how many windows they completed."""
        before = self.num_scored
        for probabilities, distance in self._windows.push(frames, track):
            self._probabilities.append(probabilities)
            self._distances.append(distance)
        return self.num_scored - before

    def segments(self, duration_s: float) -> list[Segment]:
        """The actions over time in the windows so far, at least one, of a video that lasts `duration_s`."""
        distances = np.array(self._distances, dtype=np.float32)
        return segments_of(np.stack(self._probabilities), distances, self.plan, duration_s, self._max_distance)

    def recognition(self, info: VideoInfo) -> Recognition:
        """The answer for the whole video, once all its windows are scored."""
        return Recognition(
            np.stack(self._probabilities).mean(axis=0),
            np.array(self._distances, dtype=np.float32),
            self.segments(info.duration_s),
            info,
            None if self._poses is None else self._poses.people,
            None if self._poses is None else self._poses.poses(info),
        )


def recognise(
    path: Path,
    spec: ClipSpec,
    clip_duration_s: float | None,
    start: Callable[[WindowPlan], WindowScorer],
    on_frame: OnFrame = ignore_frame,
    track: TrackSpec | None = None,
) -> Recognition:
    """Recognises the action in a video file.

    Args:
        path: The video.
        spec: Clip settings, the same as in training.
        clip_duration_s: As for `plan_windows`.
        start: Gives what scores the windows of such a plan; called once for each pass over the video.
        on_frame: As `OnFrame`. What it raises ends the work.
        track: What the model takes beside the pictures; None for nothing.

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
    """
    for attempt in window_passes(path, spec, clip_duration_s, track=track):
        scorer = start(attempt.plan)
        for frames, beside in attempt.batches(attempt.plan.hop, on_frame):
            scorer.push(frames, beside)
    return scorer.recognition(attempt.info)
