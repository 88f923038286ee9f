"""Skeletons as pictures: what stands for a video's frames where a model sees landmarks only.

Limbs have the thickness of limbs, so that the figure looks like a person, to BlazePose too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.answers import Pose
from actreel.inference.poses import landmarks_in_clip, pose_at
from actreel.video.info import VideoInfo
from actreel.video.opencv import cv2

FPS = 25
"""Frames a second of a drawn film."""

LONGEST_SIDE = 320
"""Pixels of a drawn picture."""

_GROUND = np.array([233, 231, 226], np.float64)
_LEFT, _RIGHT, _TRUNK, _SKIN = ((11, 110, 102), (180, 84, 26), (74, 95, 184), (214, 164, 132))
"""Colours: of the person's left limbs, of the right ones, of the trunk, and of head and hands."""

_SHOULDERS_AND_HIPS = (11, 12, 24, 23)
_LIMBS = (
    # Of the left side; on the right, each number is one higher. Thickness as a share of the trunk's length.
    (23, 25, 0.3), (25, 27, 0.24), (27, 29, 0.16), (29, 31, 0.16), (11, 13, 0.22), (13, 15, 0.18), (15, 19, 0.14),
)  # fmt: skip
_NOSE, _EARS = 0, (7, 8)
_FRACTION_BITS = 4
_FAR = 1e4
"""Pixels beyond which a place is moved to the edge: OpenCV draws into far places, but not into any."""


def drawn_size(width: float, height: float) -> tuple[int, int]:
    """Width and height of the drawing of a frame: of the frame's shape, the longest side 320 pixels."""
    scale = LONGEST_SIDE / max(width, height)
    return max(2, round(width * scale)), max(2, round(height * scale))


def draw(landmarks: NDArray[np.float64] | None, height: float, width: float) -> NDArray[np.uint8]:
    """Draws one person on plain ground.

    Args:
        landmarks: float64 (33, 3), x and y in pixels of a frame, and visibility; what is hidden is pale. None for
            nobody: the ground alone.
        height: Rows of the frame.
        width: Columns of the frame.

    Returns:
        uint8 (h, w, 3), RGB, of `drawn_size`.
    """
    columns, rows = drawn_size(width, height)
    picture = np.broadcast_to(_GROUND.astype(np.uint8), (rows, columns, 3)).copy()
    if landmarks is None:
        return picture
    places = np.clip(landmarks[:, :2] * [columns / width, rows / height], -_FAR, _FAR)
    trunk = float(np.linalg.norm(places[[11, 12]].mean(axis=0) - places[[23, 24]].mean(axis=0)))
    shoulders = float(np.linalg.norm(places[11] - places[12]))
    unit = max(trunk, shoulders, 4.0)

    def line(start: int, end: int, colour: tuple[int, int, int], thickness: float) -> None:
        shade = _shade(colour, float(landmarks[[start, end], 2].min()))
        width = max(1, round(thickness * unit))
        first, second = _fixed(places[[start, end]])
        cv2.line(picture, first, second, shade, width, cv2.LINE_AA, _FRACTION_BITS)

    for start, end, thickness in _LIMBS:
        line(start + 1, end + 1, _RIGHT, thickness)
    body = np.array(_fixed(places[list(_SHOULDERS_AND_HIPS)]), np.int32)
    shade = _shade(_TRUNK, 1.0)
    cv2.fillPoly(picture, [body], shade, cv2.LINE_AA, _FRACTION_BITS)
    cv2.polylines(picture, [body], True, shade, max(1, round(0.2 * unit)), cv2.LINE_AA, _FRACTION_BITS)
    for start, end, thickness in _LIMBS:
        line(start, end, _LEFT, thickness)
    _draw_head(picture, places, unit)
    return picture


def _draw_head(picture: NDArray[np.uint8], places: NDArray[np.float64], unit: float) -> None:
    middle = places[list(_EARS)].mean(axis=0)
    neck = places[[11, 12]].mean(axis=0)
    skin = _shade(_SKIN, 1.0)
    lower, upper = _fixed(np.stack([neck, middle]))
    cv2.line(picture, lower, upper, skin, max(1, round(0.18 * unit)), cv2.LINE_AA, _FRACTION_BITS)
    ((x, y),) = _fixed(middle[np.newaxis])
    # Not larger than the neck is long: where the trunk is misjudged, the head would hide everything.
    radius = max(2.0, min(0.24 * unit, 0.4 * float(np.linalg.norm(middle - neck)))) * 2**_FRACTION_BITS
    cv2.circle(picture, (x, y), round(radius), skin, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)
    ((x, y),) = _fixed(places[[_NOSE]])
    cv2.circle(picture, (x, y), round(radius / 5), _shade((90, 60, 50), 1.0), cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)


def _fixed(places: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Places as OpenCV takes them, in sixteenths of a pixel."""
    return [(int(x), int(y)) for x, y in np.round(places * 2**_FRACTION_BITS)]


def _shade(colour: tuple[int, int, int], visible: float) -> tuple[float, ...]:
    """A colour, nearer to the ground's the less is visible."""
    share = min(1.0, max(0.35, visible))
    return tuple((share * np.array(colour) + (1 - share) * _GROUND).tolist())


def draw_clip(features: NDArray[np.float32], spec: ClipSpec) -> NDArray[np.uint8]:
    """Draws the person in each of a clip's frames.

    Args:
        features: float32 (T, 136), as the encoder `pose` gives them.
        spec: The clip's settings.

    Returns:
        uint8 (T, h, w, 3), RGB.
    """
    landmarks = landmarks_in_clip(features, spec).astype(np.float64)
    people = (None if np.isnan(each).any() else each for each in landmarks)
    return np.stack([draw(person, spec.height, spec.width) for person in people])


def film(poses: Sequence[Pose], info: VideoInfo) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Draws a video as a skeleton that moves, 25 frames a second.

    Args:
        poses: The largest person in the video's sampled frames.
        info: What the video holds.

    Yields:
        uint8 (h, w, 3), RGB, and from when on it is shown, in seconds.
    """
    for number in range(max(1, round(info.duration_s * FPS))):
        yield draw(pose_at(poses, number / FPS), info.height, info.width), number / FPS


def as_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture, uint8 (h, w, 3), RGB, as a JPEG file's content."""
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
