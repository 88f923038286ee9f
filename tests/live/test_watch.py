from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actreel.errors import VideoError
from actreel.inference.classifier import ActionClassifier
from actreel.live import newest
from actreel.live.watch import Sight, watch
from actreel.video.streams import find_source
from tests.conftest import grey_frames, write_video_file
from tests.films import encode
from tests.rtsp import rtsp_camera
from tests.streaming import MOTION_JPEG, filming, jpeg, motion_jpeg, transport_stream

DARK = grey_frames([5] * 25)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "FIRST_WAIT_S", 0.01)


def watching(url: str, classifier: ActionClassifier, **options: Any) -> Any:
    return closing(watch(find_source(url), classifier, 0.4, **options))


def first_after(sights: Iterator[Sight], reconnects: int) -> Sight:
    return next(sight for sight in sights if sight.reconnects >= reconnects)


def test_a_stream_that_is_cut_off_ten_times_goes_on_each_time(classifier: ActionClassifier) -> None:
    pictures = [jpeg(frame) for frame in DARK]
    with (
        filming(motion_jpeg(pictures), 0.02, MOTION_JPEG, again=True) as camera,
        watching(camera.url, classifier) as sights,
    ):
        for cut in range(10):
            sight = first_after(sights, cut)
            assert (sight.label, sight.known) == ("dark", True)
            camera.cut_off()
        last = first_after(sights, 10)
        assert last.label == "dark"
        assert last.end_s > sight.end_s
        assert camera.visits >= 11


def test_rtsp_is_watched_and_goes_on_after_a_cut(classifier: ActionClassifier) -> None:
    with rtsp_camera(grey_frames([250] * 25), 0.02) as camera, watching(camera.url, classifier) as sights:
        assert first_after(sights, 0).label == "bright"
        camera.cut_off()
        assert first_after(sights, 1).label == "bright"
        assert camera.num_played >= 2


def test_a_stream_with_times_says_what_it_shows_now(classifier: ActionClassifier) -> None:
    pieces = transport_stream([*DARK, *grey_frames([250] * 500)])
    with filming(pieces, 0.02) as camera, watching(camera.url, classifier) as sights:
        bright = next(sight for sight in sights if sight.label == "bright")
        assert bright.fps > 0


@pytest.mark.parametrize("every_frame", [False, True])
def test_a_file_is_watched_to_its_end(classifier: ActionClassifier, tmp_path: Path, every_frame: bool) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames([5] * 30 + [250] * 30), fps=50)
    pictures: list[Any] = []
    sights = list(watch(find_source(str(film)), classifier, 0.4, every_frame=every_frame, on_picture=pictures.append))
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}  # as they are, not as the model sees them
    assert sights[-1].label == "bright"
    assert all(sight.lag_ms >= 0 and sight.known == (sight.confidence > 0) for sight in sights)
    assert sights[-1].end_s == pytest.approx(1.2, abs=0.01)


def test_no_answer_is_made_up_for_a_file_without_a_window(classifier: ActionClassifier, tmp_path: Path) -> None:
    raw = encode(tmp_path / "film.h264", DARK[:3], "libx264")  # which does not say how long it is
    with pytest.raises(VideoError, match=r"ended before\. Predict it whole: actreel predict"):
        list(watch(find_source(str(raw)), classifier, 3600))


def test_of_a_camera_that_is_cut_off_no_password_is_printed(
    classifier: ActionClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    film = motion_jpeg([jpeg(DARK[0])] * 25)
    with filming(film, 0.02, MOTION_JPEG) as camera, watching(camera.url, classifier) as sights:
        first_after(sights, 1)
    assert "/camera" in caplog.text
    assert "secret" not in caplog.text
