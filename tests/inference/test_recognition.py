from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.classifier import ActionClassifier
from actreel.inference.recognition import ScoreWindow, WindowScorer, recognise
from actreel.inference.windows import WindowPlan, plan_windows
from tests.conftest import grey_frames, halve_frame_count, write_model_folder, write_video_file
from tests.inference.test_windows import info_of, read, spec_of


def keep_in(windows: list[NDArray[np.float32]]) -> ScoreWindow:
    """A head that keeps what it is given."""

    def score(window: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        windows.append(window)
        return np.array([0.5, 0.5], dtype=np.float32), 0.0

    return score


def test_each_window_is_the_clip_of_its_stretch_of_the_video(tmp_path: Path) -> None:
    frames = [np.full((16, 16, 3), place, dtype=np.uint8) for place in range(96)]
    path = write_video_file(tmp_path / "video.avi", frames, codec="FFV1")
    attempt, parts = read(path, spec_of(8), 1.28)
    plan = attempt.plan
    assert (plan.num_windows, plan.hop, plan.num_parts) == (5, 4, 24)
    clips: list[NDArray[np.float32]] = []
    assert WindowScorer(plan, lambda frames: frames, keep_in(clips)).push(parts) == len(clips) == plan.num_windows
    for number, clip in enumerate(clips):
        start = number * plan.hop * 4
        expected = [start + 4 * place + 2 for place in range(8)]  # the middle of each part of 4 frames
        np.testing.assert_allclose(clip[:, 8, 8, 0], expected, atol=1)


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_in_whatever_portions_frames_come_the_windows_are_slices_of_the_whole(
    data: st.DataObject, clip_frames: int, num_windows: int
) -> None:
    plan = WindowPlan(clip_frames, data.draw(st.integers(1, clip_frames)), num_windows)
    frames = np.arange(plan.num_parts, dtype=np.uint8)[:, np.newaxis] * np.ones(3, dtype=np.uint8)
    borders = sorted(data.draw(st.sets(st.integers(1, plan.num_parts - 1)))) if plan.num_parts > 1 else []
    encoded: list[int] = []

    def encode(portion: NDArray[np.uint8]) -> NDArray[np.float32]:
        encoded.extend(portion[:, 0].tolist())
        return portion[:, :1] * np.float32(0.5)

    windows: list[NDArray[np.float32]] = []
    scorer = WindowScorer(plan, encode, keep_in(windows))
    for portion in np.split(frames, borders):
        scorer.push(portion)
        seen = len(encoded)
        assert len(windows) == max(0, (seen - clip_frames) // plan.hop + 1), "each is given as soon as it is complete"
    assert encoded == list(range(plan.num_parts)), "each frame is encoded once, in order"
    assert len(windows) == num_windows
    for number, window in enumerate(windows):
        start = number * plan.hop
        np.testing.assert_array_equal(window, frames[start : start + clip_frames, :1] * 0.5)


@pytest.mark.parametrize("num_frames", [7, 8])
def test_each_frame_of_a_long_video_is_encoded_once(tmp_path: Path, num_frames: int) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames(range(240)))
    _, parts = read(path, spec_of(num_frames), 1.2)
    encoded: list[NDArray[np.uint8]] = []
    windows: list[NDArray[np.float32]] = []

    def encode(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        encoded.extend(frames)
        return frames.mean(axis=(1, 2, 3), dtype=np.float32)

    recognise(path, spec_of(num_frames), 1.2, lambda plan: WindowScorer(plan, encode, keep_in(windows)))
    np.testing.assert_array_equal(encoded, parts)
    light = parts.mean(axis=(1, 2, 3), dtype=np.float32)
    plan = plan_windows(info_of(240), spec_of(num_frames), 1.2)
    assert len(windows) == plan.num_windows > 10
    for number, window in enumerate(windows):
        np.testing.assert_array_equal(window, light[number * plan.hop :][:num_frames])


def test_frames_of_the_first_pass_are_in_no_window_of_the_second(tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames(range(0, 240, 2)))
    halve_frame_count(path)
    windows: list[NDArray[np.float32]] = []
    # With 7 frames a window, some are left over where the first pass ends.
    start = lambda plan: WindowScorer(plan, lambda frames: frames, keep_in(windows))  # noqa: E731
    seen = recognise(path, spec_of(7), 1.2, start)
    plan = plan_windows(info_of(120), spec_of(7), 1.2)
    _, parts = read(path, spec_of(7), 1.2)
    expected = [parts[number * plan.hop :][:7] for number in range(plan.num_windows)]
    np.testing.assert_array_equal(windows[-plan.num_windows :], expected)
    assert len(seen.distances) == plan.num_windows


def test_two_actions_are_two_segments_with_the_border_where_it_is(tmp_path: Path) -> None:
    spec = ClipSpec(num_frames=8, height=32, width=32)
    model = write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"))
    classifier = ActionClassifier.load(model)
    card = classifier.card.model_copy(update={"clip_duration_s": 2.0})
    classifier.card = card
    path = write_video_file(tmp_path / "video.avi", grey_frames([5] * 200 + [250] * 200))
    seen = classifier.recognise(path)
    names = [card.labels[segment.action] for segment in seen.segments]
    assert [name for name in names if name != "middle"] == ["dark", "bright"]
    assert (seen.segments[0].start_s, seen.segments[-1].end_s) == (0, pytest.approx(16))
    for before, after in zip(seen.segments[:-1], seen.segments[1:], strict=True):
        assert before.end_s == after.start_s
    assert seen.segments[0].end_s == pytest.approx(8, abs=1.1)
    assert seen.segments[-1].start_s == pytest.approx(8, abs=1.1)
    assert seen.segments[0].confidence > 0.9
