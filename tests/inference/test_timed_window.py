"""The window over a stream: the same frames give the same answer as in a video, whatever a stream loses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.classifier import ActionClassifier
from actreel.inference.timed_window import TimedWindow
from actreel.inference.windows import in_batches, window_passes
from tests.conftest import grey_frames, write_model_folder, write_video_file

PART_S = 0.1


class Seen:
    """A model of 4 parts that encodes a frame as its brightness, and scores a window as the four of them."""

    def __init__(self) -> None:
        self.num_encoded = 0
        self.window = TimedWindow(4, 4 * PART_S, self._encode, lambda window: (window[:, 0], 0.0))

    def _encode(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        self.num_encoded += len(frames)
        return frames[:, 0, 0, :1].astype(np.float32)

    def push(self, level: int, at_s: float) -> list[float] | None:
        scored = self.window.push(np.full((2, 2, 3), level, dtype=np.uint8), at_s)
        return None if scored is None else scored[0].tolist()


def test_a_window_is_scored_with_each_frame_once_it_is_full() -> None:
    seen = Seen()
    assert [seen.push(level, 5 + level * PART_S) for level in range(6)] == [
        None, None, None, [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]
    ]  # fmt: skip
    assert seen.num_encoded == 6, "each frame is encoded once"


def test_frames_that_come_a_little_early_or_late_keep_a_part_each() -> None:
    rng = np.random.default_rng(3)
    seen = Seen()
    answers = [seen.push(level, level * PART_S + rng.uniform(-0.4, 0.4) * PART_S * (level > 0)) for level in range(50)]
    assert answers[-1] == [46, 47, 48, 49]
    assert seen.num_encoded == 50


def test_a_second_frame_of_a_part_is_not_encoded() -> None:
    seen = Seen()
    answers = [seen.push(level, level * PART_S / 3) for level in range(11)]
    assert [answer for answer in answers if answer] == [[0, 2, 5, 8]]
    assert seen.num_encoded == 4


def test_the_frame_before_stands_for_a_missing_one_and_a_long_gap_starts_anew() -> None:
    seen = Seen()
    assert seen.push(1, 0) is None
    assert seen.push(2, 3 * PART_S) == [1, 1, 1, 2]
    assert seen.push(3, 7 * PART_S) == [2, 2, 2, 3], "three are missing"
    assert seen.push(4, 12 * PART_S) is None, "four are: as long as a window"
    assert seen.window.filled == 0.25


@pytest.mark.parametrize("in_parts", [False, True], ids=["whole", "in parts"])
def test_its_answers_are_those_of_a_video_with_these_frames(tmp_path: Path, in_parts: bool) -> None:
    spec = ClipSpec(num_frames=8, height=32, width=32)
    model = write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"), 0.2, in_parts=in_parts)
    classifier = ActionClassifier.load(model, threads=1)
    path = write_video_file(tmp_path / "video.avi", grey_frames(np.linspace(0, 255, 200).astype(int)))
    for attempt in window_passes(path, spec, classifier.stream_window_s):
        frames = list(attempt.frames())
    scorer = classifier.window_scorer(attempt.plan)
    for batch in in_batches(iter(frames), attempt.plan.hop):
        scorer.push(batch)
    in_video = scorer.recognition(attempt.info)
    window = classifier.timed_window()
    part_s = classifier.stream_window_s / spec.num_frames
    scored = [window.push(frame, number * part_s) for number, frame in enumerate(frames)]
    full = scored[spec.num_frames - 1 :: attempt.plan.hop]
    assert len(full) == attempt.plan.num_windows > 3
    np.testing.assert_array_equal(np.array([each[1] for each in full if each], dtype=np.float32), in_video.distances)
    mean = np.mean([each[0] for each in full if each], axis=0)
    np.testing.assert_array_equal(mean, in_video.probabilities)
