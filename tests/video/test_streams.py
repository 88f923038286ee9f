from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actreel.errors import VideoError, VideoLimitError
from actreel.video import streams
from actreel.video.streams import Source, find_source, receiving
from tests.conftest import grey_frames, write_video_file
from tests.films import encode, pictures
from tests.loopback import serving
from tests.streaming import MOTION_JPEG, filming, jpeg, motion_jpeg, transport_stream


def test_a_number_is_a_camera_unless_there_is_such_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(streams.sys, "platform", "linux")
    assert find_source("0") == Source("camera 0", "camera", "/dev/video0")
    monkeypatch.setattr(streams.sys, "platform", "darwin")
    assert find_source("1").address == "1:none"
    monkeypatch.setattr(streams.sys, "platform", "win32")
    with pytest.raises(VideoError, match="on Linux and macOS"):
        find_source("0")
    write_video_file(tmp_path / "0", grey_frames([]))
    (tmp_path / "0").touch()
    assert find_source("0").kind == "file"


def test_addresses_are_shown_without_passwords() -> None:
    source = find_source("rtsp://me:secret@cam.local:554/live?x=1")
    assert source == Source("rtsp://cam.local:554/live?x=1", "address", "rtsp://me:secret@cam.local:554/live?x=1")


@pytest.mark.parametrize(
    "text", ["nowhere.mp4", "ftp://me:secret@host/film", "file:///etc/passwd", "concat:a|b", "", "-1"]
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(VideoError, match=r"video file, the number of a camera, or an address") as refused:
        find_source(text)
    assert "secret" not in str(refused.value)


def test_a_camera_that_is_not_there_is_refused() -> None:
    with (
        pytest.raises(VideoError, match=r"'camera 99', and: No such file"),
        receiving(Source("camera 99", "camera", "/dev/video99")),
    ):
        pass


def test_an_rtsp_server_that_is_not_there_is_refused() -> None:
    with serving(b"") as server:
        port = server.server_port
    with pytest.raises(VideoError, match="Connection refused"), receiving(find_source(f"rtsp://127.0.0.1:{port}/live")):
        pass


@pytest.mark.parametrize(("kind", "has_times"), [("mjpeg", False), ("ts", True)])
def test_streams_over_http_are_decoded(kind: str, has_times: bool) -> None:
    levels = [40, 120, 200] * 20
    frames = grey_frames(levels)
    film = (motion_jpeg(map(jpeg, frames)), 0.0, MOTION_JPEG) if kind == "mjpeg" else (transport_stream(frames), 0.0)
    with filming(*film) as camera, receiving(find_source(camera.url)) as video:
        assert video.has_times == has_times
        seen: list[int] = []
        with pytest.raises(VideoError, match="broke"):  # it ends without saying so
            seen.extend(round(float(video.to_rgb(frame).mean())) for frame in video.newest_frames())
    assert len(seen) >= len(levels) // 2
    assert seen == pytest.approx(levels[-len(seen) :], abs=8)


def test_packets_are_skipped_up_to_the_next_key_frame(tmp_path: Path) -> None:
    options = {"g": "10", "bf": "0", "sc_threshold": "0"}
    film = encode(tmp_path / "film.mp4", pictures(40), "libx264", options)
    answers = iter([False] * 13 + [True] + [False] * 40)
    with receiving(find_source(str(film))) as video:
        times = [round((frame.time or 0.0) * 25) for frame in video.newest_frames(lambda: next(answers))]
        assert video.num_skipped == 7
    assert times == [*range(13), *range(20, 40)]


def test_damaged_packets_are_passed_over(tmp_path: Path) -> None:
    film = motion_jpeg(
        [jpeg(frame) for frame in pictures(6)] + [b"\xff\xd8 no picture"] + [jpeg(frame) for frame in pictures(6)]
    )
    with filming(film, 0.0, MOTION_JPEG) as camera, receiving(find_source(camera.url)) as video:
        with pytest.raises(VideoError, match="broke"):
            for _ in video.newest_frames():
                pass
        assert video.num_decoded >= 10


def test_a_playlist_makes_nobody_read_files_or_other_addresses(tmp_path: Path) -> None:
    film = encode(tmp_path / "film.ts", pictures(5), "libx264").read_bytes()
    with serving(film) as other:
        for inside in (other.url.replace(".rar", ".ts"), f"file://{tmp_path / 'film.ts'}"):
            playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{inside}\n#EXT-X-ENDLIST\n"
            with (
                filming([playlist.encode()], 0, "application/vnd.apple.mpegurl") as camera,
                pytest.raises(VideoError, match="camera or a stream that FFmpeg opens"),
                receiving(find_source(camera.url)),
            ):
                pass
        assert not other.requests


def test_a_server_cannot_lead_to_a_file(tmp_path: Path) -> None:
    film = encode(tmp_path / "film.ts", pictures(5), "libx264")
    with serving(b"") as server:
        server.redirect = f"file://{film}"
        with pytest.raises(VideoError), receiving(find_source(server.url)):
            pass
        assert server.requests


def test_frames_that_would_fill_the_memory_are_not_decoded(tmp_path: Path) -> None:
    small, large = (jpeg(frame) for frame in (grey_frames([5])[0], grey_frames([5], 4000, 4000)[0]))
    with filming(motion_jpeg([small, small, large, small]), 0.0, MOTION_JPEG) as camera:
        with receiving(find_source(camera.url)) as video, pytest.raises(VideoError, match="broke"):
            assert {(frame.width, frame.height) for frame in video.newest_frames()} == {(64, 48)}
        assert video.num_decoded == 0 or video._size == (64, 48)
    film = encode(tmp_path / "film.avi", [np.zeros((4000, 4000, 3), dtype=np.uint8)], "mjpeg", pixels="yuvj420p")
    with pytest.raises(VideoLimitError, match="4000x4000"), receiving(find_source(str(film))):
        pass
