import numpy as np

from actreel.inference.segments import Segment, segments_of
from actreel.inference.windows import WindowPlan


def test_one_odd_window_makes_no_segment() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (9, 1))
    windows[4] = [0.1, 0.9]
    assert [segment.action for segment in segments_of(windows, plan, 20)] == [0]


def test_an_action_as_long_as_a_clip_is_kept() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.tile(np.array([[1, 0]], dtype=np.float32), (9, 1))
    windows[3:6] = [[0.5, 0.5], [0, 1], [0.5, 0.5]]  # it fills one window, and half of its neighbours
    assert [segment.action for segment in segments_of(windows, plan, 20)] == [0, 1, 0]


def test_segments_so_far_end_where_the_windows_end() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.array([[1, 0], [1, 0]], dtype=np.float32)
    assert segments_of(windows, plan, 40) == [Segment(0, 12, 0, 1.0)]
