"""Parts of videos: exactly the frames between two times, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.video.cutting import Cut, cut_clips
from actreel.video.decode import probe, sample_frames
from tests.ffmpeg_films import FFMPEG_FILMS
from tests.films import encode


def frames_of(path: Path) -> NDArray[np.uint8]:
    return sample_frames(path, lambda count: np.arange(count), lambda frame: frame)[0]


def noise(num_frames: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(num_frames)]


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "rate"),
    [("a.mp4", "libx264", "yuv420p", 25), ("a.avi", "mpeg4", "yuv420p", 30), ("a.mkv", "ffv1", "bgr0", 24)],
)
def test_parts_hold_the_sources_own_frames(tmp_path: Path, name: str, codec: str, pixels: str, rate: int) -> None:
    source = encode(tmp_path / name, noise(40), codec, pixels=pixels, rate=rate)
    whole = frames_of(source)
    spans = [(0, 7), (7, 8), (20, 40), (8, 20)]
    cuts = [
        # As other programs write them: in whole milliseconds.
        Cut(round(first / rate, 3), round(end / rate, 3), tmp_path / f"{first}.mp4")
        for first, end in spans
    ]
    counts, info = cut_clips(source, cuts)
    assert counts == [end - first for first, end in spans]
    assert info.num_frames == 40
    for cut, (first, end) in zip(cuts, spans, strict=True):
        np.testing.assert_array_equal(frames_of(cut.target), whole[first:end])
        assert probe(cut.target).fps == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("name", ["turned_90.mp4", "h264_odd.mp4", "interlaced.avi", "edit_list.mp4"])
def test_odd_videos_are_cut_as_they_are_decoded(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    (FFMPEG_FILMS | {"interlaced.avi": FFMPEG_FILMS["mpeg4_interlaced.mov"]})[name](source)
    whole = frames_of(source)
    fps = probe(source).fps
    counts, _ = cut_clips(source, [Cut(2 / fps, 6 / fps, tmp_path / "part.mp4")])
    found = frames_of(tmp_path / "part.mp4")
    assert counts == [4]
    first = next(place for place in range(len(whole)) if np.array_equal(whole[place], found[0]))
    np.testing.assert_array_equal(found, whole[first : first + 4])


def test_a_part_has_the_frames_that_there_are(tmp_path: Path) -> None:
    source = encode(tmp_path / "a.mp4", noise(10), "libx264")
    spans = [(0.32, 9.0), (5.0, 6.0), (0.121, 0.122)]
    cuts = [Cut(start, end, tmp_path / f"{place}.mp4") for place, (start, end) in enumerate(spans)]
    assert cut_clips(source, cuts)[0] == [2, 0, 0]
    assert [path.name for path in sorted(tmp_path.glob("?.mp4"))] == ["0.mp4", "a.mp4"]
