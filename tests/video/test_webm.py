"""Copies for browsers: the same frames at the same times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from actreel.config import ClipSpec
from actreel.errors import VideoError
from actreel.video.clips import load_clip
from actreel.video.decode import probe, sample_frames
from actreel.video.webm import LONGEST_SIDE, moving_light, write_webm
from tests.conftest import grey_frames
from tests.films import FILMS, NUM_FRAMES, encode, pictures

FARTHEST = 4
"""Mean grey levels between a frame and its copy."""


@pytest.mark.parametrize("name", ["mpeg4.avi", "interlaced_mpeg2.mpg", "mjpeg.avi", "hevc_ten_bit.mp4"])
def test_a_copy_shows_the_same(name: str, tmp_path: Path) -> None:
    film = FILMS[name](tmp_path / name, 0)
    copy = tmp_path / "copy.webm"
    write_webm(film, copy)
    here, there = (sample_frames(path, np.arange, lambda frame: frame)[0] for path in (film, copy))
    assert len(here) == NUM_FRAMES
    assert here.shape == there.shape
    assert np.abs(here.astype(int) - there).mean() < FARTHEST
    assert probe(copy).fps == pytest.approx(probe(film).fps, rel=1e-2)
    with av.open(str(copy)) as container:
        assert container.format.name == "matroska,webm"
        assert [stream.codec_context.name for stream in container.streams] == ["vp9"]
    assert sorted(tmp_path.iterdir()) == sorted([film, copy])


def test_a_large_video_is_shrunk_and_an_odd_one_keeps_its_size(tmp_path: Path) -> None:
    large = encode(tmp_path / "large.mkv", pictures(3, 1000, 2000), "ffv1")
    write_webm(large, tmp_path / "large.webm")
    assert (probe(tmp_path / "large.webm").width, probe(tmp_path / "large.webm").height) == (LONGEST_SIDE, 320)
    odd = encode(tmp_path / "odd.mkv", grey_frames([30, 60, 90], 81, 121), "ffv1")
    write_webm(odd, tmp_path / "odd.webm")
    assert (probe(tmp_path / "odd.webm").width, probe(tmp_path / "odd.webm").height) == (121, 81)


def test_frames_keep_their_times(tmp_path: Path) -> None:
    uneven = tmp_path / "uneven.mkv"
    times = [0, 40, 80, 500, 540, 1000]
    with av.open(str(uneven), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for place, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * place, dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = at // 40, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_webm(uneven, tmp_path / "copy.webm")

    def seconds(path: Path) -> list[float]:
        with av.open(str(path)) as container:
            return [frame.time or 0.0 for frame in container.decode(video=0)]

    assert seconds(tmp_path / "copy.webm") == pytest.approx(seconds(uneven), abs=0.002)
    assert seconds(uneven)[3] > 0.4


def test_what_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"broken\.avi"):
        write_webm(tmp_path / "broken.avi", tmp_path / "copy.webm")


def test_the_moving_light_is_a_video_of_a_second(tmp_path: Path) -> None:
    (tmp_path / "light.webm").write_bytes(moving_light())
    info = probe(tmp_path / "light.webm")
    assert (info.num_frames, info.width, info.height) == (25, 64, 48)
    first, last = load_clip(tmp_path / "light.webm", ClipSpec(num_frames=2, height=48, width=64))
    assert first[:, :32].mean() > 10 > first[:, 32:].mean()
    assert last[:, 32:].mean() > 10 > last[:, :32].mean()
