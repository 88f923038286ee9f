from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
import pytest

from actreel.config import ClipSpec
from actreel.live.grid import Grid, plan_grid
from actreel.live.sampling import Rate, Sample, Sampler, WallClock
from actreel.video.streams import find_source, receiving
from tests.conftest import grey_frames, write_video_file
from tests.films import encode


class MadeUpTime:
    """A clock on which nothing takes time but waiting, and each look so many seconds."""

    def __init__(self, look_s: float = 0.0) -> None:
        self.time = 100.0
        self.look_s = look_s
        self.waited: list[float] = []

    def now(self) -> float:
        self.time += self.look_s
        return self.time

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.time += seconds


def sampled(
    path: Path, clock: MadeUpTime, grid: Grid | None = None, *, is_file: bool = True
) -> tuple[list[Sample], int]:
    """The samples, and how many packets were skipped."""
    spec = ClipSpec(num_frames=8, height=32, width=32)
    with receiving(find_source(str(path))) as video:
        found = grid or plan_grid(spec, 0.8, 0.0, video.describe(video.header_frames), every_frame=False)
        return list(Sampler(video, found, spec, clock, is_file=is_file, run=3).samples()), video.num_skipped


def levels_of(samples: list[Sample]) -> list[int]:
    return [round(float(sample.frame.mean())) for sample in samples]


def write_at(path: Path, times_ms: list[int]) -> Path:
    """Frames at these times, the brightness of each its place times 10."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for place, at in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * place, dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_file_is_played_at_its_own_speed(tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames(range(0, 200, 10)))  # 0.8 s
    clock = MadeUpTime()
    samples, _ = sampled(film, clock)
    assert [sample.index for sample in samples] == list(range(8))
    assert sum(clock.waited) == pytest.approx(19 / 25)
    assert [sample.due - 100 for sample in samples] == pytest.approx(
        [place / 25 for place in (1, 3, 6, 8, 11, 13, 16, 18)]
    )
    assert {(sample.run, sample.run_start, sample.count) for sample in samples} == {(3, 100.0, 1)}


def test_too_few_frames_are_taken_again(tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames([10, 100, 200]))
    samples, _ = sampled(film, MadeUpTime())
    assert [sample.count for sample in samples] == [3, 2, 3]
    assert samples[-1].index == 7


def test_frames_are_skipped_up_to_a_key_frame_where_decoding_is_late(tmp_path: Path) -> None:
    film = encode(
        tmp_path / "film.mp4", grey_frames(range(0, 200)), "libx264", {"g": "20", "bf": "0", "sc_threshold": "0"}
    )
    slow = MadeUpTime(look_s=0.1)
    samples, skipped = sampled(film, slow)
    assert skipped > 100
    assert slow.time - samples[-1].due < 1.0, "200 frames that take 0.2 s each would be 32 s late"
    # What was skipped has had its time: each frame, which its brightness numbers, is due when it always was.
    due = [sample.due - level / 25 for sample, level in zip(samples, levels_of(samples), strict=True)]
    assert due == pytest.approx([due[0]] * len(due), abs=0.15)
    on_time, skipped = sampled(film, MadeUpTime())
    assert (skipped, len(on_time)) == (0, 8 + 4 * 18)


def test_a_stretch_without_frames_ends_a_run_and_a_jump_back_does_too(tmp_path: Path) -> None:
    grid = plan_grid(ClipSpec(num_frames=8, height=32, width=32), 0.32, 25.0, None, every_frame=False)
    gap = write_at(tmp_path / "gap.mkv", [0, 40, 80, 120, 3_600_000, 3_600_040])
    clock = MadeUpTime()
    samples, _ = sampled(gap, clock, grid)
    assert [(sample.run, sample.index) for sample in samples] == [(3, 0), (3, 1), (3, 2), (3, 3), (4, 0), (4, 1)]
    assert sum(clock.waited) < 1, "nobody waits an hour"


def test_rounded_times_are_the_frames_they_stand_for_and_uneven_ones_are_held(tmp_path: Path) -> None:
    grid = plan_grid(ClipSpec(num_frames=6, height=32, width=32), 0.4, 30.0, None, every_frame=False)  # 2 frames each
    even = write_at(tmp_path / "even.mkv", [0, 33, 67, 100, 133, 167, 200, 233])
    samples, _ = sampled(even, MadeUpTime(), grid, is_file=False)
    assert levels_of(samples) == pytest.approx([10, 30, 50, 70], abs=2)
    uneven = write_at(tmp_path / "uneven.mkv", [0, 33, 200, 233])
    samples, _ = sampled(uneven, MadeUpTime(), grid, is_file=False)
    assert [(sample.index, sample.count) for sample in samples] == [(0, 1), (2, 2), (3, 1)]


def test_the_rate_is_that_of_the_last_frames() -> None:
    rate = Rate()
    assert rate.fps == 0
    for place in range(200):
        rate.count(place / 10 if place < 100 else 10 + (place - 100) / 25)
    assert rate.fps == pytest.approx(25)


def test_the_wall_clock_stops_waiting_when_told() -> None:
    stopped = Event()
    stopped.set()
    clock = WallClock(stopped)
    clock.wait(3600)
    assert clock.now() <= clock.now()
