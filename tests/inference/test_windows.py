from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.windows import (
    LONGEST_SINGLE,
    WindowPass,
    in_batches,
    plan_windows,
    window_length,
    window_passes,
)
from actreel.video.clips import load_clip
from actreel.video.info import VideoInfo
from tests.conftest import grey_frames, halve_frame_count, write_video_file


def spec_of(num_frames: int) -> ClipSpec:
    return ClipSpec(num_frames=num_frames, height=16, width=16)


def info_of(num_frames: int, fps: float = 25.0, width: int = 64, height: int = 48) -> VideoInfo:
    return VideoInfo(fps, num_frames, num_frames, width, height, num_frames / fps, "MJPG")


def read(path: Path, spec: ClipSpec, clip_duration_s: float | None) -> tuple[WindowPass, NDArray[np.uint8]]:
    """The pass that counts, and its frames."""
    for attempt in window_passes(path, spec, clip_duration_s):
        frames = np.stack(list(attempt.frames()))
    return attempt, frames


@given(st.integers(1, 20_000), st.integers(1, 40), st.floats(0.2, 60), st.floats(5, 120))
def test_windows_cover_the_video_at_the_length_of_the_training_clips(
    num_frames: int, clip_frames: int, clip_duration_s: float, fps: float
) -> None:
    info = info_of(num_frames, fps)
    plan = plan_windows(info, spec_of(clip_frames), clip_duration_s)
    assert plan.num_parts == clip_frames + (plan.num_windows - 1) * plan.hop
    assert plan.num_windows == 1 or plan.num_parts <= num_frames, (
        "a frame would be decoded once, but used for two parts"
    )
    window_s = info.duration_s * clip_frames / plan.num_parts
    if info.duration_s < LONGEST_SINGLE * clip_duration_s:
        assert plan.num_windows == 1
    elif num_frames >= 2 * clip_frames * info.duration_s / clip_duration_s:  # enough frames for every window
        assert 0.6 <= window_s / clip_duration_s <= 1.6
    assert plan.hop <= max(1, clip_frames // 2)


def test_without_a_known_length_any_video_is_one_clip() -> None:
    assert plan_windows(info_of(10_000), spec_of(8), None).num_windows == 1


@pytest.mark.parametrize("clip_duration_s", [None, 1.2, 0.9])
def test_a_video_not_much_longer_than_a_clip_is_that_clip(video: Path, clip_duration_s: float | None) -> None:
    spec = spec_of(7)
    (attempt,) = window_passes(video, spec, clip_duration_s)
    assert (attempt.plan.num_windows, attempt.plan.num_parts) == (1, 7)
    (attempt, frames) = read(video, spec, clip_duration_s)
    np.testing.assert_array_equal(frames, load_clip(video, spec))


@pytest.mark.parametrize("colour", ["grey", "equalised"])
def test_the_service_changes_colours_as_training_does(video: Path, colour: str) -> None:
    spec = ClipSpec.model_validate({**spec_of(7).model_dump(), "colour": colour})
    (_, frames) = read(video, spec, None)
    np.testing.assert_array_equal(frames, load_clip(video, spec))
    assert (frames != load_clip(video, spec_of(7))).any()


def test_a_wrong_frame_count_in_the_header_makes_a_second_pass(tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames(range(0, 240, 2)))
    halve_frame_count(path)
    passes = [(attempt, list(attempt.frames())) for attempt in window_passes(path, spec_of(8), 1.2)]
    expected = [plan_windows(info_of(n), spec_of(8), 1.2).num_parts for n in (60, 120)]
    assert [attempt.plan.num_parts for attempt, _ in passes] == expected
    assert [len(frames) for _, frames in passes] == expected
    assert passes[-1][0].info.num_frames == 120


def test_full_size_frames_are_counted_from_0_in_each_pass(tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames(range(0, 240, 2)))
    halve_frame_count(path)
    for attempt in window_passes(path, spec_of(8), 1.2):
        seen: list[tuple[int, tuple[int, ...]]] = []
        frames = list(attempt.frames(lambda count, frame, seen=seen: seen.append((count, frame.shape))))  # type: ignore[misc]
        assert seen == [(count, (48, 64, 3)) for count in range(len(frames))]


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    picture = grey_frames([90], 240, 320)[0]
    peaks = []
    for name, num_frames in (("short", 100), ("long", 1000)):
        path = write_video_file(tmp_path / f"{name}.avi", (picture for _ in range(num_frames)))
        tracemalloc.start()
        for attempt in window_passes(path, spec_of(8), 0.5):
            for _ in attempt.frames():
                pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000, "a frame of this video takes 230 kB"


@pytest.mark.parametrize(("num_frames", "size", "sizes"), [(6, 3, [3, 3]), (7, 3, [3, 3, 1]), (2, 3, [2]), (0, 3, [])])
def test_batches_hold_all_frames_in_order(num_frames: int, size: int, sizes: list[int]) -> None:
    frames = grey_frames(range(num_frames), 2, 2)
    batches = list(in_batches(iter(frames), size))
    assert [len(batch) for batch in batches] == sizes
    assert [int(level) for batch in batches for level in batch[:, 0, 0, 0]] == list(range(num_frames))


@given(st.lists(st.floats(0.2, 600), min_size=1, max_size=30))
def test_every_training_clip_is_one_clip_to_the_service_too(durations: list[float]) -> None:
    length = window_length(durations)
    for duration in durations:
        info = VideoInfo(25.0, round(duration * 25) + 1, 0, 64, 48, duration, "MJPG")
        assert plan_windows(info, spec_of(8), length).num_windows == 1
