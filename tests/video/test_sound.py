"""Sound: which band sounds in which part of a video, and that no file stops it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actreel.config import SoundSpec
from actreel.video import sound
from actreel.video.sound import OFFSET, sound_parts
from tests.conftest import grey_frames, write_video_file
from tests.sounds import tone, write_sounding

SPEC = SoundSpec()
SILENCE = np.log(OFFSET)


@pytest.fixture(autouse=True)
def _nothing_was_said() -> Iterator[None]:
    sound._said.cache_clear()
    yield
    sound._said.cache_clear()


def heard(path: Path, duration_s: float, parts: int) -> list[tuple[float, float]]:
    """Of each part the band that sounds loudest, and how loud it is on average."""
    found = np.stack(list(sound_parts(path, SPEC, duration_s, parts)))
    assert found.shape == (parts, SPEC.size)
    mean, most = found[:, : SPEC.bands], found[:, SPEC.bands :]
    assert (most >= mean - 1e-3).all()
    return list(zip(mean.argmax(axis=1).tolist(), mean.max(axis=1).tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("film.avi", "pcm_s16le", 16_000), ("film.mp4", "aac", 44_100), ("film.mkv", "flac", 48_000)],
)
def test_each_part_has_the_sound_of_its_time(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    sounds = np.concatenate([np.zeros(rate), tone(500, 1, rate), tone(3000, 1, rate)])
    film = write_sounding(tmp_path / name, grey_frames([90] * 75), sounds, rate=rate, codec=codec)
    bands, loud = zip(*heard(film, 3.0, 12), strict=True)
    low, high = (np.abs(_centres() - hertz).argmin() for hertz in (500, 3000))
    assert loud[1] < SILENCE + 1
    assert all(abs(band - low) <= 1 for band in bands[5:7])
    assert all(abs(band - high) <= 1 for band in bands[9:11])
    assert min(loud[5:7] + loud[9:11]) > 2


def _centres() -> np.ndarray:
    """The bands' middles in Hz, from the filters themselves."""
    filters = sound._mel_filters(SPEC, 512)
    return np.fft.rfftfreq(512, 1 / SPEC.rate)[filters.argmax(axis=0)]


def test_sound_that_starts_late_and_ends_early_is_silent_before_and_after(tmp_path: Path) -> None:
    film = write_sounding(tmp_path / "film.mkv", grey_frames([90] * 75), tone(1000, 1), delay_s=1.0)
    loud = [level for _, level in heard(film, 3.0, 6)]
    assert [level > 2 for level in loud] == [False, False, True, True, False, False]


def test_sound_after_the_pictures_is_left_out(tmp_path: Path) -> None:
    film = write_sounding(tmp_path / "film.avi", grey_frames([90] * 10), tone(1000, 3))
    assert all(level > 2 for _, level in heard(film, 0.4, 4))


def test_a_clip_without_sound_is_silent_and_that_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    films = [write_video_file(tmp_path / f"{number}.avi", grey_frames([90] * 10)) for number in range(2)]
    with caplog.at_level(logging.WARNING):
        for film in films:
            np.testing.assert_allclose([level for _, level in heard(film, 0.4, 4)], SILENCE, rtol=1e-6)
    assert caplog.text.count("has no sound") == 1
    assert str(films[0]) in caplog.text


def test_more_parts_than_windows_repeat_the_nearest(tmp_path: Path) -> None:
    film = write_sounding(tmp_path / "film.avi", grey_frames([90] * 3), tone(1000, 0.12))
    found = np.stack(list(sound_parts(film, SPEC, 0.12, 40)))
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) <= 12


def test_damaged_sound_gives_numbers(tmp_path: Path) -> None:
    film = write_sounding(tmp_path / "film.mp4", grey_frames([90] * 50), tone(1000, 2), codec="aac")
    data = bytearray(film.read_bytes())
    start = data.index(b"mdat")
    noise = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    data[start + 3000 : start + 7000] = noise
    film.write_bytes(data)
    found = np.stack(list(sound_parts(film, SPEC, 2.0, 8)))
    assert np.isfinite(found).all()
