from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.live.grid import plan_grid
from actreel.live.rolling import RollingWindow, Window
from actreel.live.sampling import Sample

SPEC = ClipSpec(num_frames=4, height=8, width=8)


class Model:
    """Says which frames are in a window."""

    def __init__(self) -> None:
        self.num_encoded = 0

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        self.num_encoded += len(frames)
        return frames[:, 0, 0, 0].astype(np.float32)

    def score(self, window: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
        return window.astype(np.float32), float(window[-1])


def sample(index: int, count: int = 1, run: int = 0, level: int | None = None) -> Sample:
    frame = np.full((8, 8, 3), index % 256 if level is None else level, dtype=np.uint8)
    return Sample(frame, index, count, run, 0.0, 0.0)


def rolling(*, every_frame: bool = False) -> tuple[RollingWindow, Model]:
    model = Model()
    grid = plan_grid(SPEC, 0.4, 30.0 if every_frame else 10.0, None, every_frame=every_frame)
    return RollingWindow(grid, model.encode, model.score), model


def seen(windows: list[Window]) -> list[list[int]]:
    return [window.probabilities.astype(int).tolist() for window in windows]


def test_windows_overlap_by_half_and_each_frame_is_encoded_once() -> None:
    window, model = rolling()
    found = [each for index in range(9) for each in window.push(sample(index))]
    assert seen(found) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert [each.start_s for each in found] == pytest.approx([0, 0.2, 0.4])
    assert [each.end_s for each in found] == pytest.approx([0.4, 0.6, 0.8])
    assert model.num_encoded == 9
    assert [each.distance for each in found] == [3, 5, 7]


def test_with_every_frame_a_window_ends_at_each() -> None:
    window, model = rolling(every_frame=True)
    found = [each for index in range(12) for each in window.push(sample(index))]
    assert seen(found) == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    assert found[0].end_s == pytest.approx(0.4)
    assert model.num_encoded == 12


def test_where_samples_are_missing_the_next_one_counts_for_them() -> None:
    window, model = rolling()
    found = [each for one in (sample(0), sample(3, 2), sample(5)) for each in window.push(one)]
    assert seen(found) == [[0, 3, 3, 3], [3, 3, 5, 5]]
    assert model.num_encoded == 3


def test_a_window_lies_in_one_run() -> None:
    window, _ = rolling()
    samples = [sample(0), sample(1), sample(2), *(sample(index, run=1, level=10 + index) for index in range(4))]
    assert seen([each for one in samples for each in window.push(one)]) == [[10, 11, 12, 13]]


def test_the_first_samples_may_be_missing_but_not_a_whole_window() -> None:
    window, _ = rolling()
    assert seen([each for one in (sample(2), sample(3)) for each in window.push(one)]) == [[2, 2, 2, 3]]
    window, _ = rolling()
    late = [each for index in (50, 51, 52, 53) for each in window.push(sample(index))]
    assert seen(late) == [[50, 51, 52, 53]]
    after_a_pause = [each for index in (1000, 1001, 1002, 1003) for each in window.push(sample(index))]
    assert seen(after_a_pause) == [[232, 233, 234, 235]]  # modulo 256
