"""Heads on landmarks: joints, hidden ones, mirrors, heat maps, and the same answers as ONNX and from a file."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from actreel.config import LANDMARK_HEADS
from actreel.models import build_head, td_gcn
from actreel.models.landmarks import CHAINS, SIDE, body_graph, heat_maps, joint_channels, joints_of
from actreel.quiet_keras import keras
from actreel.training.pose.geometry import FEATURES, LANDMARKS, mirrored
from benchmarks.gestures import GESTURES, gesture
from tests.models.networks import assert_onnx_equals_keras, assert_saved_is_equal, params_of, sharpen

BODY = np.ones((LANDMARKS, 2))
CLIPS = np.stack([gesture(order, BODY, np.random.default_rng(0))[:6] for order in list(GESTURES.values())[::2]])
JOINTS = LANDMARKS + 1


@pytest.fixture(scope="module")
def heads() -> Iterator[dict[str, keras.Model]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(td_gcn, "LAYERS", ((1, 1),))
        built = {
            name: build_head(params_of("pose", name, "difference", "imagenet"), CLIPS.shape[1:], 4)
            for name in LANDMARK_HEADS
        }
        sharpen(built["heatmap_cnn"])  # it is deep, and its statistics have seen no clip yet
        yield built


def test_onnx_and_a_saved_model_equal_keras(heads: dict[str, keras.Model], tmp_path: Path) -> None:
    # The others: tests/training/pose/test_encoder.py and test_td_gcn.py.
    assert_onnx_equals_keras(heads["skeleton_transformer"], CLIPS, tmp_path / "head.onnx")
    assert_saved_is_equal(heads["skeleton_transformer"], CLIPS, tmp_path / "head.keras")


def test_a_hidden_joint_may_be_anywhere_and_order_counts(heads: dict[str, keras.Model]) -> None:
    elsewhere = CLIPS.copy()
    wrist = elsewhere[:, 2, 4 * 15 : 4 * 16]
    wrist[:] = [0.5, 0.5, 0, 0.2]
    seen, hidden = elsewhere.copy(), elsewhere.copy()
    hidden[:, 2, 4 * 15 : 4 * 15 + 3] = [-2, 1, 3]
    seen[:, 2, 4 * 15 : 4 * 16] = [-2, 1, 3, 0.9]
    for name, head in heads.items():
        answers = [np.asarray(head(clips)) for clips in (elsewhere, hidden, seen, elsewhere[:, ::-1])]
        np.testing.assert_allclose(answers[1], answers[0], atol=1e-6, err_msg=name)
        for other in answers[2:]:
            assert np.abs(other - answers[0]).max() > 1e-4, name
        assert np.isfinite(head(0 * CLIPS)).all(), name  # nobody is there


def test_the_last_joint_is_where_the_body_is_and_all_are_linked() -> None:
    assert FEATURES == 4 * JOINTS
    places, seen = joints_of(CLIPS)
    np.testing.assert_array_equal(np.asarray(places)[:, :, -1], CLIPS[..., -4:-1])
    assert np.asarray(seen)[:, :, -1].min() == 1
    parents = {child: parent for chain in CHAINS for parent, child in pairwise(chain)}
    assert sorted({*parents, LANDMARKS}) == list(range(JOINTS))
    for joint in range(LANDMARKS):
        for _ in range(JOINTS):
            joint = parents.get(joint, joint)
        assert joint == LANDMARKS


def test_a_velocity_counts_where_the_joint_is_seen_twice() -> None:
    places = np.arange(12, dtype=np.float32).reshape(1, 4, 1, 3) ** 2
    seen = np.array([1, 1, 0.5, 0], np.float32).reshape(1, 4, 1, 1)
    found = np.asarray(joint_channels(places, seen, "difference"))[0, :, 0]
    change = np.diff(places[0, :, 0], axis=0, prepend=places[0, :1, 0])
    np.testing.assert_allclose(found[:, :3], places[0, :, 0] * [[1], [1], [0.5], [0]])
    np.testing.assert_allclose(found[:, 4:], change * [[1], [1], [0.5], [0]])
    assert joint_channels(places, seen, "none").shape[-1] == 4


def test_a_mirrored_body_has_mirrored_heat_maps_and_the_same_graph() -> None:
    plain, other = (np.asarray(heat_maps(*joints_of(clips))) for clips in (CLIPS, mirrored(CLIPS)))
    numbered = np.arange(FEATURES, dtype=np.float32)
    order = (np.abs(mirrored(numbered))[::4] / 4).astype(int)
    assert sum(order != np.arange(JOINTS)) == 32  # all but the nose and the body's place
    np.testing.assert_allclose(other, plain[:, :, :, ::-1][..., order], atol=1e-5)
    graph = body_graph(JOINTS, CHAINS)
    np.testing.assert_allclose(graph[:, order][:, :, order], graph, atol=1e-6)


def test_a_heat_map_is_brightest_at_its_joint() -> None:
    maps = np.asarray(heat_maps(*joints_of(CLIPS)))
    assert maps.shape == (*CLIPS.shape[:2], SIDE, SIDE, JOINTS)
    frame, joint = 3, 16
    x, y, _, visibility = CLIPS[0, frame, 4 * joint : 4 * joint + 4]
    assert visibility > 0.75
    row, column = np.unravel_index(maps[0, frame, ..., joint].argmax(), (SIDE, SIDE))
    np.testing.assert_allclose(np.array([column, row]) + 0.5, (np.array([x, y]) / 2.5 + 1) * SIDE / 2, atol=0.51)
