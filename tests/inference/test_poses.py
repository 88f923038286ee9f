from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actreel.config import ClipSpec
from actreel.inference import poses
from actreel.inference.answers import Answer, Pose
from actreel.inference.classifier import ActionClassifier
from actreel.inference.poses import pose_at
from tests.conftest import grey_frames, write_model_folder, write_video_file
from tests.pose_model import SPEC, TORSO, standing, write_pose_model

FADING = [0, 0, *range(40, 240, 5)]
"""Levels of light of a video's frames: nobody in the first two, two people from the middle on."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pose_model(tmp_path_factory.mktemp("pose") / "model")


def answer_of(model: Path, levels: list[int], folder: Path) -> Answer:
    classifier = ActionClassifier.load(model)
    return classifier.answer(classifier.recognise(write_video_file(folder / "video.avi", grey_frames(levels))))


def test_landmarks_are_in_pixels_of_the_video_at_the_times_of_its_sampled_frames(model: Path, tmp_path: Path) -> None:
    answer = answer_of(model, FADING, tmp_path)
    assert answer.poses is not None
    sampled = [(2 * part + 1) * len(FADING) // 16 for part in range(8)]
    assert [pose.at_s for pose in answer.poses] == pytest.approx([frame / 25 for frame in sampled], abs=1e-3)
    for frame, pose in zip(sampled, answer.poses, strict=True):
        hips = (64 * (0.25 + 0.5 * FADING[frame] / 255), 24)  # of frames of 64 by 48, which were squeezed to 32 by 32
        expected = hips + standing() * [TORSO * 64, TORSO * 48]
        found = np.array(pose.landmarks)
        np.testing.assert_allclose(found[:, :2], expected, atol=0.5)
        np.testing.assert_allclose(found[:, 2], 0.9)


def test_cropped_frames_lie_in_the_middle_of_the_video(tmp_path: Path) -> None:
    spec = ClipSpec(num_frames=8, height=32, width=32, fit="center_crop")
    answer = answer_of(write_pose_model(tmp_path / "model", spec), [128] * 20, tmp_path)
    assert answer.poses is not None
    nose = answer.poses[0].landmarks[0]
    assert nose[:2] == pytest.approx((32, 24 - 1.6 * TORSO * 48), abs=0.2)


@pytest.mark.parametrize(
    ("levels", "people", "found"),
    [([0] * 20, 0, [False] * 8), ([90] * 20, 1, [True] * 8), ([0] * 10 + [200] * 10, 2, [False] * 4 + [True] * 4)],
)
def test_people_are_counted_and_nobody_is_an_answer(
    model: Path, tmp_path: Path, levels: list[int], people: int, found: list[bool]
) -> None:
    answer = answer_of(model, levels, tmp_path)
    assert answer.poses is not None
    assert (answer.people, [bool(pose.landmarks) for pose in answer.poses]) == (people, found)


def test_a_count_of_a_frame_without_landmarks_is_not_believed() -> None:
    features = np.zeros((2, 136), np.float32)
    features[1, -1] = 1
    plan = poses.WindowPlan(2, 1, 1)
    seen = poses.SeenPoses(lambda frames: (features, np.array([5, 2], np.float32)), SPEC, plan)
    seen.encode(np.zeros((2, *SPEC.shape[1:]), np.uint8))
    assert seen.people == 2


def test_a_model_that_does_not_count_says_so_and_one_of_pixels_has_no_poses(tmp_path: Path, spec: ClipSpec) -> None:
    early = answer_of(write_pose_model(tmp_path / "early", counts=False), [128] * 20, tmp_path)
    assert early.people is None
    assert early.poses is not None
    assert all(pose.landmarks for pose in early.poses)
    other = answer_of(write_model_folder(tmp_path / "grey", spec, ("dark", "light"), in_parts=True), [128], tmp_path)
    assert (other.people, other.poses) == (None, None)


def test_of_a_long_video_every_so_many_th_pose_is_told(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = list(range(40, 240)) * 2
    everything = answer_of(model, levels, tmp_path).poses
    assert everything is not None
    assert len(everything) > 60
    monkeypatch.setattr(poses, "MOST_POSES", 25)
    assert answer_of(model, levels, tmp_path).poses == everything[:: -(-len(everything) // 25)]


def mark(x: float) -> tuple[tuple[float, float, float], ...]:
    return ((x, 0.0, 1.0),) * 33


@pytest.mark.parametrize(
    ("seconds", "x"),
    [(0, 10), (1, 10), (1.5, 15), (2, 20), (2.4, 20), (2.6, None), (3.4, None), (3.6, 40), (9, 40)],
)
def test_between_two_frames_a_person_moves_on_a_straight_line(seconds: float, x: float | None) -> None:
    seen = [Pose(1, mark(10)), Pose(2, mark(20)), Pose(3, ()), Pose(4, mark(40))]
    found = pose_at(seen, seconds)
    assert (None if found is None else found[0, 0]) == x
    assert pose_at([], seconds) is None
