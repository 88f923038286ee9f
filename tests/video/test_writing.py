"""Copies with drawings: upright H.264 with the times of the frames, and with the sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from actreel.video.decode import probe, sample_frames
from actreel.video.writing import add_sound, mp4_writer
from tests.conftest import grey_frames
from tests.ffmpeg_films import ffmpeg


def write(path: Path, num_frames: int = 10, size: tuple[int, int] = (48, 64), **options: Any) -> Path:
    settings = {"fps": 25.0, "time_base": None} | options
    with mp4_writer(path, **settings) as writer:
        for place, frame in enumerate(grey_frames((20 * place % 200 for place in range(num_frames)), *size)):
            writer.write(frame, place / settings["fps"])
    return path


def streams_of(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        return {stream.type: stream.codec.canonical_name for stream in container.streams}


def test_it_is_h264_that_players_start_at_once(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4")
    with av.open(str(film)) as container:
        context: Any = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.colorspace, context.color_range) == ("h264", "yuv420p", 1, 1)
        levels = [float(frame.to_ndarray(format="rgb24").mean()) for frame in container.decode(video=0)]
    assert levels == pytest.approx(range(0, 200, 20), abs=3)
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 24000 / 1001, 7.5])
def test_the_frame_rate_is_kept(tmp_path: Path, fps: float) -> None:
    film = write(tmp_path / "film.mp4", 30, fps=fps)
    assert probe(film).fps == pytest.approx(fps, rel=1e-5)
    assert probe(film).num_frames == 30


def test_uneven_times_are_kept_and_the_first_is_0(tmp_path: Path) -> None:
    times = [0.02, 0.04, 0.08, 0.5, 0.54, 1.0, 1.0, 0.9]
    with mp4_writer(tmp_path / "film.mp4", 25.0, Fraction(1, 1000)) as writer:
        for at, frame in zip(times, grey_frames(range(0, 160, 20)), strict=True):
            writer.write(frame, at)
    with av.open(str(tmp_path / "film.mp4")) as container:
        found = [frame.time for frame in container.decode(video=0)]
    assert found == pytest.approx([0, 0.04, 0.08, 0.5, 0.54, 1.0, 1.001, 1.002], abs=1e-4)


@pytest.mark.parametrize(("size", "written"), [((49, 65), (50, 66)), ((1, 1), (2, 2)), ((48, 65), (48, 66))])
def test_odd_sides_get_a_row(tmp_path: Path, size: tuple[int, int], written: tuple[int, int]) -> None:
    film = write(tmp_path / "film.mp4", 3, size)
    frames, info = sample_frames(film, np.arange, lambda frame: frame)
    assert (info.height, info.width) == written
    assert frames[2][-1, -1] == pytest.approx([40] * 3, abs=6)


def test_pixels_keep_their_shape(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", pixel_shape=Fraction(16, 11))
    with av.open(str(film)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


SOUNDS = {
    "aac": ("film.mp4", "aac"),
    "mp3": ("film.mkv", "mp3"),
    "pcm_s16le": ("film.avi", "aac"),
    "vorbis": ("film.mkv", "aac"),
}


@pytest.mark.parametrize("codec", SOUNDS)
def test_sound_is_copied_or_converted_where_mp4_cannot_hold_it(codec: str, tmp_path: Path) -> None:
    name, copied = SOUNDS[codec]
    encoder = {"mp3": "libmp3lame", "vorbis": "libvorbis"}.get(codec, codec)
    source = tmp_path / name
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1",
        "-c:v", "mpeg4", "-c:a", encoder, source,
    )  # fmt: skip
    film = write(tmp_path / "pictures.mp4", 25)
    assert add_sound(film, source, codec, tmp_path / "joined.mp4")
    assert streams_of(tmp_path / "joined.mp4") == {"video": "h264", "audio": copied}
    with av.open(str(tmp_path / "joined.mp4")) as container:
        assert len(list(container.decode(video=0))) == 25
    with av.open(str(tmp_path / "joined.mp4")) as container:
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert np.abs(heard).max() > 0


def test_without_ffmpeg_it_says_that_the_sound_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not add_sound(write(tmp_path / "a.mp4"), tmp_path / "b.mp4", "aac", tmp_path / "joined.mp4")
    assert "sound of" in caplog.text
    assert "apt install ffmpeg" in caplog.text


def test_where_ffmpeg_fails_it_says_so_and_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = write(tmp_path / "a.mp4")
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", tmp_path / "song.mp4")
    playlist = tmp_path / "b.avi"
    playlist.write_text("ffconcat version 1.0\nfile song.mp4\n", encoding="utf-8")
    assert not add_sound(film, playlist, "aac", tmp_path / "joined.mp4")
    assert "ffmpeg failed on it" in caplog.text
    assert not (tmp_path / "joined.mp4").exists()
