"""Which video a name stands for, and that no name leaves the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from actreel.errors import DatasetError
from actreel.labelling.videos import VideoFolder

FILE = Path("x.eaf")


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    for name in ("lesson.mp4", "monday/talk.mp4", "tuesday/talk.mp4", "tuesday/caf\u0065\u0301.mov", "notes.txt"):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / name).touch()
    (tmp_path / "secret.mp4").touch()
    return VideoFolder(tmp_path / "films")


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("lesson.mp4", "lesson.mp4"),
        ("file:///home/anna/lesson.mp4", "lesson.mp4"),
        (r"C:\films\monday\talk.mp4", "monday/talk.mp4"),
        ("/old/disk/tuesday/talk.mp4", "tuesday/talk.mp4"),
        ("/data/upload/3/0a1b2c3d-lesson.mp4", "lesson.mp4"),
        ("/data/local-files/?d=films/monday/talk.mp4", "monday/talk.mp4"),
        ("s3://bucket/tuesday/caf%C3%A9.mov", "tuesday/caf\u0065\u0301.mov"),
        ("../films/./lesson.mp4", "lesson.mp4"),
        ("lesson", "lesson.mp4"),
    ],
)
def test_the_video_whose_path_ends_as_the_name_does(folder: VideoFolder, name: str, video: str) -> None:
    assert folder.find((name,), FILE) == Path(video)
    assert folder.find(("nowhere.mp4", name), FILE) == Path(video)


@pytest.mark.parametrize(
    "name",
    ["../secret.mp4", "/etc/passwd", "%2e%2e/secret.mp4", "notes.txt", "", "..", "a\0b.mp4", "http://[x", "/?d=.."],
)
def test_nothing_else_is_found(folder: VideoFolder, name: str) -> None:
    with pytest.raises(DatasetError, match=r"must hold each video.*x\.eaf"):
        folder.find((name,), FILE)


def test_a_name_that_fits_two_videos_is_refused(folder: VideoFolder) -> None:
    with pytest.raises(DatasetError, match=r"fits 'monday/talk\.mp4', 'tuesday/talk\.mp4'"):
        folder.find(("talk.mp4",), FILE)


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DatasetError, match="--videos must be the folder"):
            VideoFolder(path)
