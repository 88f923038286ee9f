import numpy as np

from actreel.inference.segments import Segment, segments_of
from actreel.inference.windows import WindowPlan


def test_one_odd_window_makes_no_segment() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (9, 1))
    windows[4] = [0.1, 0.9]
    assert [segment.action for segment in segments_of(windows, np.zeros(9, np.float32), plan, 20)] == [0]


def test_an_action_as_long_as_a_clip_is_kept() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.tile(np.array([[1, 0]], dtype=np.float32), (9, 1))
    windows[3:6] = [[0.5, 0.5], [0, 1], [0.5, 0.5]]  # it fills one window, and half of its neighbours
    assert [segment.action for segment in segments_of(windows, np.zeros(9, np.float32), plan, 20)] == [0, 1, 0]


def test_segments_so_far_end_where_the_windows_end() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.array([[1, 0], [1, 0]], dtype=np.float32)
    assert segments_of(windows, np.zeros(2, np.float32), plan, 40) == [Segment(0, 12, 0, 1.0)]


def test_what_is_far_from_all_training_clips_is_an_unknown_segment() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.tile(np.array([[0.75, 0.25]], dtype=np.float32), (9, 1))
    distances = np.array([1, 1, 1, 1, 9, 9, 9, 9, 9], dtype=np.float32)
    known, unknown = segments_of(windows, distances, plan, 20, max_distance=5)
    assert (known.known, known.action, known.confidence) == (True, 0, 0.75)
    assert (unknown.known, unknown.action, unknown.confidence) == (False, 0, 0.0)
    assert known.end_s == unknown.start_s == 10
    assert len(segments_of(windows, distances, plan, 20)) == 1, "without a limit, everything is known"
