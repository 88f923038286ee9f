from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.inference.answers import Pose
from actreel.inference.poses import LANDMARKS
from actreel.inference.skeletons import FPS, as_jpeg, draw, draw_clip, film
from actreel.video.info import VideoInfo
from actreel.video.opencv import cv2
from tests.pose_model import SPEC, standing

GROUND = (233, 231, 226)


def person(x: float, y: float, torso: float, visible: float = 1.0) -> NDArray[np.float64]:
    """float64 (33, 3): somebody who stands with their hips there."""
    return np.column_stack([standing() * torso + [x, y], np.full(LANDMARKS, visible)])


def distance(picture: NDArray[np.uint8], x: float, y: float) -> float:
    """How far a pixel's colour is from the ground's."""
    return float(np.abs(picture[round(y), round(x)].astype(float) - GROUND).sum())


def test_each_side_has_its_colour_where_its_limbs_are() -> None:
    picture = draw(person(200, 150, 60), 300, 640)
    assert picture.shape == (150, 320, 3)
    left, right = (picture[round((150 + 48) / 2), round(x / 2)] for x in (200 + 0.3 * 60, 200 - 0.3 * 60))
    assert left[1] > left[0] + 50  # green
    assert right[0] > right[1] + 50  # orange
    assert distance(picture, 200 / 2, (150 - 1.6 * 60) / 2) > 50  # the head
    assert distance(picture, 5, 5) == 0


def test_nobody_is_the_ground_alone_and_what_is_hidden_is_pale() -> None:
    assert (draw(None, 48, 64) == GROUND).all()
    knee = (160 + 0.3 * 60, 120 + 48)
    sure, unsure = (distance(draw(person(160, 120, 60, seen), 240, 320), *knee) for seen in (1.0, 0.1))
    assert 20 < unsure < sure / 2


@pytest.mark.parametrize("far", [1e9, -1e9, 1e30])
def test_people_far_outside_are_drawn_as_nothing(far: float) -> None:
    assert draw(person(far, 10, 20), 48, 64).shape == (240, 320, 3)


def test_a_film_moves_and_lasts_as_long_as_the_video() -> None:
    seen = [Pose(0, tuple(map(tuple, person(20, 24, 10)))), Pose(1, tuple(map(tuple, person(44, 24, 10))))]  # type: ignore[arg-type]
    info = VideoInfo(fps=10, num_frames=20, header_frames=20, width=64, height=48, duration_s=2, codec="MJPG")
    frames = list(film(seen, info))
    assert [seconds for _, seconds in frames] == [number / FPS for number in range(50)]
    hips = [[distance(picture, 5 * x, 5 * 23) > 50 for x in (20, 32, 44)] for picture, _ in frames]
    assert (hips[0], hips[12], hips[-1]) == ([True, False, False], [False, True, False], [False, False, True])


def test_a_clip_is_drawn_from_its_features() -> None:
    features = np.zeros((2, 136), np.float32)
    features[1, : 4 * LANDMARKS].reshape(LANDMARKS, 4)[:, :2] = standing()
    features[1, 4 * LANDMARKS :] = 0.25, 0, 0.2, 1
    nobody, somebody = draw_clip(features, SPEC)
    assert (nobody == GROUND).all()
    assert distance(somebody, 0.75 * 320, 0.45 * 320) > 50
    assert distance(somebody, 0.25 * 320, 0.45 * 320) == 0


def test_a_jpeg_has_the_colours_of_the_picture() -> None:
    picture = draw(person(160, 120, 60), 240, 320)
    decoded = cv2.imdecode(np.frombuffer(as_jpeg(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(float) - picture).mean() < 3
