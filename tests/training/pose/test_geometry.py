import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.poses import landmarks_in_clip
from actreel.quiet_keras import tf
from actreel.training.pose import geometry
from tests.training.pose.networks import standing_person

FRAME = geometry.whole(100, 200)
TURNED = np.array([50, 40, 20, 0], np.float32)
"""A square of 20 pixels whose upper edge is on the right."""


def described(
    points: NDArray[np.float32], region: NDArray[np.float32], present: float = 0.9
) -> tuple[NDArray, NDArray]:
    after, features = geometry.describe(
        tf.constant(points), tf.constant([[present]], tf.float32), tf.constant(region), tf.constant(FRAME)
    )
    return np.asarray(after), np.asarray(features)


def test_places_in_a_region_are_pixels_of_the_frame() -> None:
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0, 0]], np.float32)
    upright = np.asarray(geometry.place(corners, FRAME))
    np.testing.assert_allclose(upright, [[0, -50], [200, -50], [100, 50]], atol=1e-4)
    turned = np.asarray(geometry.place(corners, TURNED))
    np.testing.assert_allclose(turned, [[60, 30], [60, 50], [50, 40]], atol=1e-4)


def test_a_region_as_large_as_the_picture_takes_each_pixel_once() -> None:
    places = np.asarray(geometry.sample_places(4, tf.constant(geometry.whole(4, 4)), 4, 4))[0]
    middles = np.array([-0.75, -0.25, 0.25, 0.75])  # of pixels, as GridSample counts without aligned corners
    np.testing.assert_allclose(places[2], np.stack([middles, np.full(4, 0.25)], axis=1), atol=1e-6)


def test_a_person_is_looked_at_upright_with_a_margin() -> None:
    region = np.asarray(geometry.around(tf.constant([50.0, 40.0]), tf.constant([58.0, 40.0])))
    np.testing.assert_allclose(region, TURNED)  # 8 pixels around the hips, a quarter more, and lying


def detections(*people: tuple[int, float, float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The detection network's answer: anchors, the size of the person and their box as a share, and its logit."""
    boxes = np.zeros((1, 2254, 12), np.float32)
    scores = np.full((1, 2254, 1), -100, np.float32)
    for anchor, size, logit in people:
        boxes[0, anchor, 2:4] = size * geometry.DETECTION_SIDE
        boxes[0, anchor, 7] = -size * geometry.DETECTION_SIDE
        scores[0, anchor] = logit
    return boxes, scores


def test_the_largest_person_is_taken() -> None:
    boxes, scores = detections((10, 0.1, 5), (900, 0.2, 3), (1600, 0.5, -3))
    region = np.asarray(geometry.largest_person(tf.constant(boxes), tf.constant(scores), tf.constant(FRAME)))
    x, y = (geometry.anchors()[900] - 0.5) * 200 + [100, 50]
    np.testing.assert_allclose(region, [x, y, 0, -0.2 * 200 * 2.5], rtol=1e-4, atol=1e-3)


def test_no_person_is_no_region() -> None:
    boxes, scores = detections((10, 0.1, -1.2))  # a probability of 0.23
    region = geometry.largest_person(tf.constant(boxes), tf.constant(scores), tf.constant(FRAME))
    assert not np.any(region)


@pytest.mark.parametrize(
    ("people", "count"),
    [
        ([], 0),
        ([(10, 0.2, -1.2)], 0),  # a probability of 0.23
        ([(10, 0.2, 3)], 1),
        ([(10, 0.2, 3), (12, 0.2, 2), (68, 0.2, 2)], 1),  # the cells beside it and below
        ([(10, 0.2, 3), (12, 0.2, 2), (1000, 0.2, 1), (2200, 0.2, -1)], 3),
    ],
)
def test_overlapping_detections_are_one_person(people: list[tuple[int, float, float]], count: int) -> None:
    boxes, scores = detections(*people)
    assert geometry.count_people(tf.constant(boxes), tf.constant(scores)) == count


def test_anchors_are_the_middles_of_cells() -> None:
    anchors = geometry.anchors()
    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[[0, 1, 2]], [[0.5 / 28, 0.5 / 28], [0.5 / 28, 0.5 / 28], [1.5 / 28, 0.5 / 28]])
    np.testing.assert_allclose(anchors[-1], [6.5 / 7, 6.5 / 7], rtol=1e-6)


def test_landmarks_are_relative_to_hips_and_torso() -> None:
    after, features = described(standing_person(), np.array([60, 50, 0, -128], np.float32))
    landmarks, where = features[:132].reshape(33, 4), features[132:]
    np.testing.assert_allclose(landmarks[23:25, :2].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(landmarks[0, :2], [0, -1.5], atol=1e-5)  # the nose, half a torso above the shoulders
    np.testing.assert_allclose(landmarks[27, :2], [20 / 64, 80 / 64], atol=1e-5)
    np.testing.assert_allclose(landmarks[:, 3], 1 / (1 + np.exp(-4)), rtol=1e-5)
    np.testing.assert_allclose(where, [(60 - 100) / 200, 0, 32 / 200, 1], atol=1e-5)
    np.testing.assert_allclose(after, [60, 50, 0, -128 * 0.8], rtol=1e-4)


@pytest.mark.parametrize("region", [TURNED, np.array([10, 90, 0, -30], np.float32)])
def test_place_and_size_of_a_person_do_not_change_the_landmarks(region: NDArray[np.float32]) -> None:
    _, near = described(standing_person(), np.array([60, 50, 0, -128], np.float32))
    _, far = described(standing_person(), region)
    length = np.linalg.norm(near[:132].reshape(33, 4)[:, :2], axis=1)
    np.testing.assert_allclose(np.linalg.norm(far[:132].reshape(33, 4)[:, :2], axis=1), length, atol=1e-4)
    assert np.abs(far[132:134] - near[132:134]).max() > 0.04


def test_the_landmarks_of_an_answer_are_where_the_network_saw_them() -> None:
    points = standing_person()
    points.reshape(39, 5)[:33, :2] += np.random.default_rng(0).uniform(-30, 30, (33, 2))
    spec = ClipSpec(num_frames=1, height=int(2 * FRAME[1]), width=int(2 * FRAME[0]))
    nobody = described(points, TURNED, present=0.4)[1]
    found, empty = landmarks_in_clip(np.stack([described(points, TURNED)[1], nobody]), spec)
    places = geometry.place(points.reshape(39, 5)[:33, :2] / geometry.LANDMARK_SIDE - 0.5, tf.constant(TURNED))
    np.testing.assert_allclose(found[:, :2], places, atol=1e-3)
    np.testing.assert_allclose(found[:, 2], 1 / (1 + np.exp(-4)), rtol=1e-5)
    assert np.isnan(empty).all()


def test_nobody_in_the_region_is_zeros() -> None:
    after, features = described(standing_person(), TURNED, present=0.4)
    assert not after.any()
    assert features.shape == (geometry.FEATURES,)
    assert not features.any()


def test_mirroring_swaps_left_and_right() -> None:
    features = described(standing_person(), np.array([60, 50, 0, -128], np.float32))[1].copy()
    features[: 4 * 33 : 4] += np.linspace(0, 0.5, 33)  # not symmetric
    mirrored = geometry.mirrored(features[np.newaxis])[0]
    landmarks, others = features[:132].reshape(33, 4), mirrored[:132].reshape(33, 4)
    np.testing.assert_array_equal(others[15], landmarks[16] * [-1, 1, 1, 1])  # wrists
    np.testing.assert_array_equal(others[0], landmarks[0] * [-1, 1, 1, 1])  # the nose has no partner
    np.testing.assert_array_equal(others[1], landmarks[4] * [-1, 1, 1, 1])  # inner corners of the eyes
    np.testing.assert_array_equal(mirrored[132:], features[132:] * [-1, 1, 1, 1])
    np.testing.assert_array_equal(geometry.mirrored(mirrored), features)
