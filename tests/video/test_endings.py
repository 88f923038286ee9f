"""The one list of endings, held against what decodes and against all that repeats it."""

import re
from pathlib import Path

import pytest

from actreel.video.decode import probe
from actreel.video.endings import VIDEO_ENDINGS, count_endings, is_video
from tests.conftest import ROOT
from tests.films import dv_pictures, encode, pictures

# How FFmpeg's muxers call the endings that they do not know, and the codec where the container does not take MPEG-4.
WRITTEN_AS = {
    ".264": ".h264", ".265": ".hevc", ".3gpp": ".3gp", ".avc": ".h264", ".divx": ".avi", ".h265": ".hevc",
    ".m2p": ".mpg", ".m2t": ".ts", ".m4v": ".mp4", ".mjpg": ".mjpeg", ".mk3d": ".mkv", ".mod": ".vob", ".mpe": ".mpg",
    ".ogm": ".ogv",
    ".qt": ".mov", ".rmvb": ".rm", ".tod": ".ts", ".trp": ".ts", ".xvid": ".avi",
}  # fmt: skip
CODECS = {
    ".asf": "wmv2", ".f4v": "libx264", ".flv": "flv", ".gif": "gif", ".h264": "libx264", ".hevc": "libx265",
    ".m1v": "mpeg1video", ".m2v": "mpeg2video", ".mpg": "mpeg1video", ".mxf": "mpeg2video", ".ogv": "libvpx",
    ".mpeg": "mpeg2video", ".rm": "rv20", ".vob": "mpeg2video", ".webm": "libvpx", ".wmv": "wmv2", ".wtv": "mpeg2video",
    ".ivf": "libvpx", ".mjpeg": "mjpeg", ".obu": "libsvtav1", ".y4m": "wrapped_avframe", ".dv": "dvvideo",
}  # fmt: skip


def write_film(folder: Path, ending: str) -> Path:
    """Eight frames in the format that the ending stands for."""
    written = WRITTEN_AS.get(ending, ending)
    frames = dv_pictures(8) if written == ".dv" else pictures(8, 120, 160)
    options = {"x265-params": "log-level=0"} if written == ".hevc" else None
    pixels = {".gif": "rgb8", ".mjpeg": "yuvj420p"}.get(written, "yuv420p")
    encode(folder / f"film{written}", frames, CODECS.get(written, "mpeg4"), options, pixels)
    return (folder / f"film{written}").rename(folder / f"film{ending}")


@pytest.mark.parametrize("ending", VIDEO_ENDINGS)
def test_every_ending_is_one_of_a_video_that_decodes(tmp_path: Path, ending: str) -> None:
    assert probe(write_film(tmp_path, ending)).num_frames == 8


@pytest.mark.parametrize("name", ["a.MP4", "b.tar.mts", ".hidden.3gp"])
def test_an_ending_counts_whatever_its_case(name: str) -> None:
    assert is_video(Path(name))


@pytest.mark.parametrize("name", ["song.mp3", "song.m4a", "song.ogg", "frame.jpg", "mp4", "clip.mp4.part", ".mp4"])
def test_other_files_are_no_videos(name: str) -> None:
    assert not is_video(Path(name))


def test_the_endings_of_other_files_are_counted() -> None:
    names = ["a.txt", "b.JPG", "c.jpg", "README", "d.abc"]
    assert count_endings(map(Path, names)) == "2 .jpg, 1 .abc, 1 .txt, 1 without an ending"


def test_the_page_lets_a_visitor_choose_the_same_files() -> None:
    page = (ROOT / "serving/web/index.html").read_text(encoding="utf-8")
    (accepted,) = re.findall(r'id="file"[^>]* accept="([^"]*)"', page)
    assert accepted.split(",") == ["video/*", *VIDEO_ENDINGS]


def test_the_documentation_names_the_same_endings() -> None:
    text = (ROOT / "docs/own-clips.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"these endings are read:\s(.*?)\.\s", text.replace("\n", " "))
    assert tuple(re.findall(r"`(\.\w+)`", listed)) == VIDEO_ENDINGS
