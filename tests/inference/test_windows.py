from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.errors import VideoLimitError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.windows import (
    LONGEST_SINGLE,
    Segment,
    VideoLimits,
    WindowBuffer,
    WindowPlan,
    plan_windows,
    recognise,
    segments_of,
    stream_parts,
    window_length,
)
from actreel.video.clips import load_clip
from actreel.video.decode import VideoInfo
from tests.conftest import grey_frames, write_model_folder, write_video_file

NO_LIMITS = VideoLimits(max_pixels=10**9, max_frames=10**9, max_duration_s=1e9)


def spec_of(num_frames: int) -> ClipSpec:
    return ClipSpec(num_frames=num_frames, height=16, width=16, sampling="uniform")


def info_of(num_frames: int, fps: float = 25.0, width: int = 64, height: int = 48) -> VideoInfo:
    return VideoInfo(fps, num_frames, num_frames, width, height, num_frames / fps, "MJPG")


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
    parts = list(stream_parts(video, spec, clip_duration_s))
    assert [place for place, _ in parts] == list(range(7))
    np.testing.assert_array_equal(np.stack([frame for _, frame in parts]), load_clip(video, spec))


def test_each_window_is_the_clip_of_its_stretch_of_the_video(tmp_path: Path) -> None:
    frames = [np.full((16, 16, 3), place, dtype=np.uint8) for place in range(96)]
    path = write_video_file(tmp_path / "video.avi", frames, codec="FFV1")
    plans: list[WindowPlan] = []
    parts = list(stream_parts(path, spec_of(8), 1.28, on_plan=lambda plan, info: plans.append(plan)))
    (plan,) = plans
    assert (plan.num_windows, plan.hop, plan.num_parts) == (5, 4, 24)
    clips = WindowBuffer(plan, encode=lambda frames: frames).push(np.stack([frame for _, frame in parts]))
    assert len(clips) == plan.num_windows
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

    buffer = WindowBuffer(plan, encode)
    windows: list[NDArray[np.float32]] = []
    for portion in np.split(frames, borders):
        windows += buffer.push(portion)
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
    parts = [frame for _, frame in stream_parts(path, spec_of(num_frames), 1.2)]
    encoded: list[NDArray[np.uint8]] = []
    windows: list[NDArray[np.float32]] = []

    def encode(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        encoded.extend(frames)
        return frames.mean(axis=(1, 2, 3), dtype=np.float32)

    def score(window: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        windows.append(window)
        return np.array([0.5, 0.5], dtype=np.float32), 0.0

    recognise(path, spec_of(num_frames), 1.2, encode, score)
    np.testing.assert_array_equal(encoded, parts)
    light = np.stack(parts).mean(axis=(1, 2, 3), dtype=np.float32)
    plan = plan_windows(info_of(240), spec_of(num_frames), 1.2)
    assert len(windows) == plan.num_windows > 10
    for number, window in enumerate(windows):
        np.testing.assert_array_equal(window, light[number * plan.hop :][:num_frames])


def halve_frame_count(path: Path) -> None:
    """Makes the header of 120 frames speak of 60."""
    data = bytearray(path.read_bytes())
    for field in (data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32):
        data[field : field + 4] = (60).to_bytes(4, "little")
    data[data.index(b"idx1") : data.index(b"idx1") + 4] = b"JUNK"
    path.write_bytes(data)
    assert int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)) == 60


def test_a_wrong_frame_count_in_the_header_voids_the_first_pass(tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames(range(0, 240, 2)))
    halve_frame_count(path)
    plans: list[WindowPlan] = []
    places = [place for place, _ in stream_parts(path, spec_of(8), 1.2, on_plan=lambda plan, info: plans.append(plan))]
    assert [plan.num_parts for plan in plans] == [
        plan_windows(info_of(n), spec_of(8), 1.2).num_parts for n in (60, 120)
    ]
    assert places[-plans[1].num_parts :] == list(range(plans[1].num_parts))


def test_frames_of_a_void_pass_are_in_no_window(tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames(range(0, 240, 2)))
    halve_frame_count(path)
    windows: list[NDArray[np.uint8]] = []

    def score(window: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        windows.append(window)
        return np.array([0.5, 0.5], dtype=np.float32), 0.0

    # With 7 frames a window, some are left over where the first pass ends.
    seen = recognise(path, spec_of(7), 1.2, lambda frames: frames, score)
    plan = plan_windows(info_of(120), spec_of(7), 1.2)
    first = plan_windows(info_of(60), spec_of(7), 1.2)
    parts = [frame for _, frame in stream_parts(path, spec_of(7), 1.2)][first.num_parts :]
    expected = [parts[number * plan.hop :][:7] for number in range(plan.num_windows)]
    np.testing.assert_array_equal(windows[-plan.num_windows :], expected)
    assert len(seen.distances) == plan.num_windows


def test_two_actions_are_two_segments_with_the_border_where_it_is(tmp_path: Path) -> None:
    spec = ClipSpec(num_frames=8, height=32, width=32, sampling="uniform")
    model = write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"))
    classifier = ActionClassifier.load(model)
    card = classifier.card.model_copy(update={"clip_duration_s": 2.0})
    classifier.card = card
    path = write_video_file(tmp_path / "video.avi", grey_frames([5] * 200 + [250] * 200))
    seen = classifier.recognise(path)
    names = [card.labels[segment.place] for segment in seen.segments]
    assert [name for name in names if name != "middle"] == ["dark", "bright"]
    assert (seen.segments[0].start_s, seen.segments[-1].end_s) == (0, pytest.approx(16))
    for before, after in zip(seen.segments[:-1], seen.segments[1:], strict=True):
        assert before.end_s == after.start_s
    assert seen.segments[0].end_s == pytest.approx(8, abs=1.1)
    assert seen.segments[-1].start_s == pytest.approx(8, abs=1.1)
    assert seen.segments[0].confidence > 0.9


def test_one_odd_window_makes_no_segment() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (9, 1))
    windows[4] = [0.1, 0.9]
    assert [segment.place for segment in segments_of(windows, plan, 20)] == [0]


def test_an_action_as_long_as_a_clip_is_kept() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.tile(np.array([[1, 0]], dtype=np.float32), (9, 1))
    windows[3:6] = [[0.5, 0.5], [0, 1], [0.5, 0.5]]  # it fills one window, and half of its neighbours
    assert [segment.place for segment in segments_of(windows, plan, 20)] == [0, 1, 0]


def test_segments_so_far_end_where_the_windows_end() -> None:
    plan = WindowPlan(clip_frames=8, hop=4, num_windows=9)
    windows = np.array([[1, 0], [1, 0]], dtype=np.float32)
    assert segments_of(windows, plan, 40) == [Segment(0, 12, 0, 1.0)]


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    picture = grey_frames([90], 240, 320)[0]
    peaks = []
    for name, num_frames in (("short", 100), ("long", 1000)):
        path = write_video_file(tmp_path / f"{name}.avi", (picture for _ in range(num_frames)))
        tracemalloc.start()
        for _ in stream_parts(path, spec_of(8), 0.5):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000, "a frame of this video takes 230 kB"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_pixels": 1000}, "Received: 64x48"),
        ({"max_frames": 20}, "Received: 30"),
        ({"max_duration_s": 1.0}, "Received: 1 s"),
    ],
)
def test_a_video_beyond_the_limits_is_refused(video: Path, limits: dict[str, float], words: str) -> None:
    with pytest.raises(VideoLimitError, match=words):
        list(stream_parts(video, spec_of(8), None, limits=VideoLimits(**{**vars(NO_LIMITS), **limits})))


def test_more_frames_than_the_header_says_are_still_counted(video: Path) -> None:
    data = bytearray(video.read_bytes())
    for field in (data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32):
        data[field : field + 4] = (5).to_bytes(4, "little")
    data[data.index(b"idx1") : data.index(b"idx1") + 4] = b"JUNK"
    video.write_bytes(data)
    with pytest.raises(VideoLimitError, match="at most 20 frames"):
        list(stream_parts(video, spec_of(4), None, limits=VideoLimits(10**9, 20, 1e9)))


@given(st.lists(st.floats(0.2, 600), min_size=1, max_size=30))
def test_every_training_clip_is_one_clip_to_the_service_too(durations: list[float]) -> None:
    length = window_length(durations)
    for duration in durations:
        info = VideoInfo(25.0, round(duration * 25) + 1, 0, 64, 48, duration, "MJPG")
        assert plan_windows(info, spec_of(8), length).num_windows == 1
