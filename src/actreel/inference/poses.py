"""Whom a model of landmarks (`model.encoder: pose`) saw in a video: where their joints are, and how many they were.

The encoder's features hold the landmarks relative to hips and torso, and where these are in the clip's frame; see
`actreel.training.pose.geometry`, which makes them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.answers import Pose
from actreel.inference.windows import Frames, WindowPlan
from actreel.video.clips import middle_frames, places_in_video
from actreel.video.info import VideoInfo

LANDMARKS = 33

MOST_POSES = 2400
"""Of a longer video, every so-many-th pose is told: all of them would be larger than the video."""

EncodePeople = Callable[[Frames], tuple[NDArray[np.float32], NDArray[np.float32] | None]]
"""As `ActionClassifier.encode_people`."""


def landmarks_in_clip(features: NDArray[np.float32], spec: ClipSpec) -> NDArray[np.float32]:
    """Where the landmarks are in the clip's frames.

    Args:
        features: float32 (n, 136), as the encoder gives them.
        spec: The clip's settings.

    Returns:
        float32 (n, 33, 3): x and y in pixels of the clip's frame, and visibility in [0, 1]; NaN where there is no
        person.
    """
    relative = features[:, : 4 * LANDMARKS].reshape(-1, LANDMARKS, 4)
    x, y, torso, there = features[:, 4 * LANDMARKS :].T
    side = max(spec.height, spec.width)
    hips = np.stack([x * side + spec.width / 2, y * side + spec.height / 2], axis=1)
    places = relative[..., :2] * (torso * side)[:, np.newaxis, np.newaxis] + hips[:, np.newaxis]
    landmarks = np.concatenate([places, relative[..., 3:]], axis=-1, dtype=np.float32)
    landmarks[(there < 0.5) | ~np.isfinite(landmarks).all(axis=(1, 2))] = np.nan
    return landmarks


class SeenPoses:
    """Encodes a video's sampled frames, and keeps the poses in them.

    People are counted where they are looked for: in the first frame and in the middle of a window, and where the person
    before was lost. There, overlapping detections are one person. The count of a frame in which the landmark network
    then sees nobody is not believed.

    Args:
        encode: As `EncodePeople`.
        spec: The clip's settings.
        plan: The video's windows.
    """

    def __init__(self, encode: EncodePeople, spec: ClipSpec, plan: WindowPlan) -> None:
        self._encode = encode
        self._spec = spec
        self._plan = plan
        self._step = -(-plan.num_parts // MOST_POSES)
        self._num_frames = 0
        self._kept: list[NDArray[np.float32]] = []
        self._people: int | None = 0

    @property
    def people(self) -> int | None:
        """How many people were seen at once so far, at most; None if the encoder does not count."""
        return self._people

    def encode(self, frames: Frames) -> NDArray[np.float32]:
        """The frames' features, float32 (n, 136)."""
        features, people = self._encode(frames)
        if people is None:
            self._people = None
        elif self._people is not None:
            self._people = max(self._people, round(float((people * features[:, -1]).max(initial=0))))
        self._kept.append(features[-self._num_frames % self._step :: self._step].copy())
        self._num_frames += len(frames)
        return features

    def poses(self, info: VideoInfo) -> tuple[Pose, ...]:
        """The poses so far, of a video that holds this."""
        landmarks = landmarks_in_clip(np.concatenate(self._kept), self._spec)
        landmarks[..., :2] = places_in_video(landmarks[..., :2], self._spec, info.height, info.width)
        frames = middle_frames(info.num_frames, self._plan.num_parts)[:: self._step]
        return tuple(
            Pose(round(float(frame * info.duration_s / max(1, info.num_frames)), 3), _plain(one))
            # Not strict: a decoder that a hostile file has taken over may send more frames than it planned.
            for frame, one in zip(frames, landmarks.astype(np.float64), strict=False)
        )


def _plain(landmarks: NDArray[np.float64]) -> tuple[tuple[float, float, float], ...]:
    """Landmarks of one frame, rounded to a tenth of a pixel; empty if there is no person."""
    if np.isnan(landmarks).any():
        return ()
    return tuple((round(float(x), 1), round(float(y), 1), round(float(seen), 2)) for x, y, seen in landmarks)


def pose_at(poses: Sequence[Pose], seconds: float) -> NDArray[np.float64] | None:
    """Where the landmarks are at any moment, between two sampled frames on a straight line.

    Where a person is in one of the two frames only, they are there until half way.

    Args:
        poses: In order of time.
        seconds: The moment.

    Returns:
        float64 (33, 3), as in `Pose`; None if there is no person.
    """
    if not poses:
        return None
    after = bisect_right(poses, seconds, key=lambda pose: pose.at_s)
    first, second = poses[max(0, after - 1)], poses[min(after, len(poses) - 1)]
    gap = second.at_s - first.at_s
    share = min(1.0, max(0.0, (seconds - first.at_s) / gap)) if gap > 0 else 0.0
    if first.landmarks and second.landmarks:
        return (1 - share) * np.array(first.landmarks) + share * np.array(second.landmarks)
    nearest = (first if share < 0.5 else second).landmarks
    return np.array(nearest) if nearest else None
