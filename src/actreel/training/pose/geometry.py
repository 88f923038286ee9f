"""The geometry between BlazePose's two networks: where to look, and what a person's landmarks are relative to the hips.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020; constants are those of MediaPipe's graphs
`pose_detection_cpu` and `pose_landmarks_to_roi`. Written in TensorFlow: `actreel.training.pose.graph` turns these
functions into ONNX.

A *region* is a square in a frame, upright or turned: float32 (4,), the centre's x and y and the vector from its lower
to its upper edge, in pixels. The frame's axes point right and down. Four zeros are no region.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.quiet_keras import tf

DETECTION_SIDE, LANDMARK_SIDE = 224, 256
"""Sides of the pictures that the two networks take."""

LANDMARKS = 33
POINTS = 39
"""What the landmark network gives: the landmarks, and more points, of which two say where the person is."""

FEATURES = 4 * LANDMARKS + 4
"""Of each landmark x, y, z and visibility; then where the hips are, the torso's length, and 1 if there is a person."""

LEFT_OF = {1: 4, 2: 5, 3: 6, 7: 8, 9: 10, **{left: left + 1 for left in range(11, 32, 2)}}
"""The landmarks of the left side, and those of the right: eyes, ears, mouth, and shoulders down to toes."""

_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP, _RIGHT_HIP = 11, 12, 23, 24
_CENTRE, _RIM = 33, 34
_MARGIN = 1.25

LEAST_SCORE = 0.25
"""Of a detection. MediaPipe takes 0.5, but the landmark network says itself whether it sees a person (`PRESENT`): with
0.25, people were found in more frames of small videos, and never where there was none."""
PRESENT = 0.5

OVERLAP = 0.3
"""Detections whose boxes overlap by more, as intersection over union, are of one person: MediaPipe's."""
MOST_PEOPLE = 64
"""That are counted."""


def whole(height: int, width: int) -> NDArray[np.float32]:
    """The region that holds a whole frame."""
    return np.array([width / 2, height / 2, 0, -max(height, width)], dtype=np.float32)


def place(points: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    """From places in a region, float32 (n, 2) from -0.5 to 0.5, to pixels of the frame."""
    centre, up = region[:2], region[2:]
    right = tf.stack([-up[1], up[0]])
    return centre + points[:, :1] * right - points[:, 1:] * up


def around(centre: tf.Tensor, rim: tf.Tensor) -> tf.Tensor:
    """The region around a person whose whole body lies in a circle; the point on its rim is above the head."""
    return tf.concat([centre, 2 * _MARGIN * (rim - centre)], 0)


def sample_places(side: int, region: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Where a picture of a region takes its pixels from: float32 (1, side, side, 2), as ONNX's GridSample counts."""
    middles = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    shares = place(tf.constant(grid), region) / np.array([width, height], np.float32)
    return tf.reshape(2 * shares - 1, (1, side, side, 2))


def anchors() -> NDArray[np.float32]:
    """float32 (2254, 2): what the detection network's answers are relative to; x and y as shares of its picture."""
    cells = []
    for count, each in ((28, 2), (14, 2), (7, 6)):
        y, x = np.mgrid[:count, :count]
        cells.append(np.repeat((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / count, each, axis=0))
    return np.concatenate(cells).astype(np.float32)


def largest_person(boxes: tf.Tensor, scores: tf.Tensor, frame: tf.Tensor) -> tf.Tensor:
    """The region around the largest person that was detected.

    The size counts as much as the certainty: of one person's overlapping detections, the largest is the least certain.

    Args:
        boxes: float32 (1, 2254, 12). From the fifth on: the hips' middle, and a point on the circle around the body.
        scores: float32 (1, 2254, 1), logits.
        frame: `whole`.

    Returns:
        float32 (4,); zeros if there is no person.
    """
    certainty = tf.sigmoid(scores[0, :, 0])
    pairs = tf.reshape(boxes[0, :, 4:8], (-1, 2, 2)) / DETECTION_SIDE + anchors()[:, np.newaxis]
    size = tf.norm(pairs[:, 1] - pairs[:, 0], axis=1)
    weight = tf.where(certainty >= LEAST_SCORE, size * certainty, 0.0)
    best = tf.argmax(weight)
    points = place(pairs[best] - 0.5, frame)
    return around(points[0], points[1]) * tf.cast(weight[best] > 0, tf.float32)


def count_people(boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """How many people were detected: boxes with at least `LEAST_SCORE` that are left after non-maximum suppression.

    Args:
        boxes: As for `largest_person`. The first four: the box's middle, width and height.
        scores: As for `largest_person`.

    Returns:
        float32, one number; at most `MOST_PEOPLE`.
    """
    middles = boxes[0, :, :2] / DETECTION_SIDE + anchors()
    half = boxes[0, :, 2:4] / (2 * DETECTION_SIDE)
    corners = tf.concat([middles - half, middles + half], axis=1)
    certainty = tf.sigmoid(scores[0, :, 0])
    kept = tf.image.non_max_suppression(corners, certainty, MOST_PEOPLE, OVERLAP, LEAST_SCORE)
    return tf.cast(tf.size(kept), tf.float32)


def describe(raw: tf.Tensor, present: tf.Tensor, region: tf.Tensor, frame: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What the landmark network saw in a region.

    Args:
        raw: float32 (1, 195), of 39 points x, y, z in pixels of its picture, and the logits of visibility and presence.
        present: float32 (1, 1), whether there is a person.
        region: What its picture shows.
        frame: `whole`.

    Returns:
        The person's region, to look at in the next frame, and the frame's features: float32 (4,) and (136,), both
        zeros if there is no person.
    """
    points, side = tf.reshape(raw, (POINTS, 5)), tf.norm(region[2:])
    places = place(points[:, :2] / LANDMARK_SIDE - 0.5, region)
    hips = (places[_LEFT_HIP] + places[_RIGHT_HIP]) / 2
    shoulders = (places[_LEFT_SHOULDER] + places[_RIGHT_SHOULDER]) / 2
    # Seen from above or from the feet, a torso has no length.
    torso = tf.maximum(tf.norm(shoulders - hips), side / 10)
    landmarks = tf.concat(
        [
            (places[:LANDMARKS] - hips) / torso,
            points[:LANDMARKS, 2:3] / LANDMARK_SIDE * side / torso,
            tf.sigmoid(points[:LANDMARKS, 3:4]),
        ],
        axis=1,
    )
    frame_side = -frame[3]
    where = tf.concat([(hips - frame[:2]) / frame_side, [torso / frame_side, 1.0]], 0)
    there = tf.cast(present[0, 0] >= PRESENT, tf.float32)
    features = tf.concat([tf.reshape(landmarks, (-1,)), where], 0)
    return around(places[_CENTRE], places[_RIM]) * there, features * there


def mirrored(features: NDArray[Any]) -> NDArray[Any]:
    """The features of mirrored frames: x changes its sign, and left and right landmarks their places.

    Args:
        features: float32 (..., 136).
    """
    order = np.arange(LANDMARKS)
    for left, right in LEFT_OF.items():
        order[[left, right]] = right, left
    landmarks = features[..., : 4 * LANDMARKS].reshape(*features.shape[:-1], LANDMARKS, 4)[..., order, :]
    landmarks = landmarks * np.array([-1, 1, 1, 1], features.dtype)
    where = features[..., 4 * LANDMARKS :] * np.array([-1, 1, 1, 1], features.dtype)
    return np.concatenate([landmarks.reshape(*features.shape[:-1], -1), where], axis=-1)
