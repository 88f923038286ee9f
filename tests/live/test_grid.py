from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.inference.windows import plan_windows
from actreel.live.grid import Grid, plan_grid
from actreel.video.clips import middle_frames
from actreel.video.info import VideoInfo


def info_of(num_frames: int, fps: float = 25.0) -> VideoInfo:
    return VideoInfo(fps, num_frames, num_frames, 64, 48, num_frames / fps, "MJPG")


def spec_of(num_frames: int) -> ClipSpec:
    return ClipSpec(num_frames=num_frames, height=16, width=16)


def frames_of(grid: Grid, num_frames: int) -> list[int]:
    """The frame of each of the first grid's samples, in a video of so many frames."""
    frames: list[int] = []
    for place in range(num_frames):
        frames += [place] * (grid.num_before(place + 1) - len(frames))
    return frames[:: grid.phases]


@given(st.integers(1, 3000), st.integers(1, 40), st.floats(0.2, 20), st.floats(5, 120), st.booleans())
def test_a_files_samples_are_those_of_predict(
    num_frames: int, clip_frames: int, clip_duration_s: float, fps: float, every_frame: bool
) -> None:
    info = info_of(num_frames, fps)
    plan = plan_windows(info, spec_of(clip_frames), clip_duration_s)
    grid = plan_grid(spec_of(clip_frames), clip_duration_s, 0.0, info, every_frame=every_frame)
    np.testing.assert_array_equal(frames_of(grid, num_frames), middle_frames(num_frames, plan.num_parts))


def test_a_stream_is_covered_at_the_length_of_the_training_clips() -> None:
    grid = plan_grid(spec_of(20), 2.0, 30.0, None, every_frame=False)
    assert (grid.part_frames, grid.part_s, grid.hop, grid.hop_s, grid.phases) == (3, pytest.approx(0.1), 10, 1.0, 1)
    assert frames_of(grid, 30) == [1, 4, 7, 10, 13, 16, 19, 22, 25, 28]
    assert grid.end_s(19) == pytest.approx(2.0)


def test_with_every_frame_as_a_sample_windows_take_every_third() -> None:
    grid = plan_grid(spec_of(20), 2.0, 30.0, None, every_frame=True)
    assert (grid.phases, grid.hop) == (3, 1)
    assert grid.num_before(31) == 30, "the first frame comes before the first part's middle"


@pytest.mark.parametrize("fps", [0.0, float("nan"), float("inf"), 1e9, -25.0, 1e-9])
def test_a_rate_that_cannot_be_is_not_believed(fps: float) -> None:
    grid = plan_grid(spec_of(8), 2.0, fps, None, every_frame=True)
    assert (grid.fps, grid.part_frames, grid.phases) == (4.0, Fraction(1), 1)


def test_without_a_length_a_stream_has_no_windows_and_a_file_is_one() -> None:
    with pytest.raises(ModelError, match=r"clip_duration_s\. Give the seconds: actreel watch SOURCE --window 2"):
        plan_grid(spec_of(8), None, 25.0, None, every_frame=False)
    grid = plan_grid(spec_of(8), None, 25.0, info_of(80), every_frame=False)
    assert grid.num_before(80) == 8
