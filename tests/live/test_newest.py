from __future__ import annotations

from pathlib import Path

import pytest

from actreel.config import ClipSpec
from actreel.errors import VideoError
from actreel.live import newest
from actreel.live.grid import Grid, plan_grid
from actreel.live.newest import NewestSamples
from actreel.video.streams import LiveVideo, Source, find_source
from tests.conftest import grey_frames, patience, write_video_file
from tests.streaming import MOTION_JPEG, filming, jpeg, motion_jpeg

SPEC = ClipSpec(num_frames=8, height=32, width=32)


def plan(video: LiveVideo) -> Grid:
    return plan_grid(SPEC, 0.4, video.stated_fps, None, every_frame=False)


def reading(source: Source) -> NewestSamples:
    return NewestSamples(source, plan, SPEC)


def test_who_does_not_take_samples_finds_the_newest_and_the_rest_is_counted_as_dropped(tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames(range(0, 200, 5)), fps=50)
    with reading(find_source(str(film))) as samples:
        samples._thread.join(patience(10))  # it has read all, and nobody took anything
        assert [sample.index for sample in samples] == [14, 15]
        assert samples.num_dropped == 14
    assert not samples._thread.is_alive()


def test_it_stops_in_the_middle_when_nobody_looks_any_more(tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames([5, 250] * 2000))
    with reading(find_source(str(film))) as samples:
        assert next(iter(samples)).index == 0
    samples._thread.join(patience(10))
    assert not samples._thread.is_alive()


def test_what_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"nothing")
    with reading(find_source(str(tmp_path / "broken.avi"))) as samples, pytest.raises(VideoError, match=r"broken\.avi"):
        next(iter(samples))
    with filming([], 0) as camera:
        url = camera.url
    with reading(find_source(url)) as samples, pytest.raises(VideoError, match="Connection refused"):
        next(iter(samples))
    assert samples.num_breaks == 0


def test_a_stream_that_is_gone_is_tried_again_later_each_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(newest, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(newest, "LONGEST_WAIT_S", 0.05)
    pieces = motion_jpeg(map(jpeg, grey_frames([5] * 10)))
    with filming(pieces, 0.01, MOTION_JPEG) as camera, reading(find_source(camera.url)) as samples:
        first = iter(samples)
        assert next(first).run == 0
        camera.statuses = [404] * 4  # then it is back
        sample = next(first)
        while sample.run == 0:
            sample = next(first)
        assert samples.num_breaks == 5
    waits = [record.getMessage().rpartition(" in ")[2] for record in caplog.records][:5]
    assert waits == ["0.01 s.", "0.02 s.", "0.04 s.", "0.05 s.", "0.05 s."]
