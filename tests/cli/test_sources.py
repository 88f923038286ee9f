import logging
from pathlib import Path, PurePath

import pytest

from actreel.cli.sources import Video, videos_of
from actreel.errors import VideoError


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def listed(*sources: str) -> tuple[list[Video], list[str]]:
    errors: list[VideoError] = []
    return [*videos_of(sources, errors.append)], [str(error) for error in errors]


def test_a_folder_is_searched_as_a_datasets_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "actreel")
    fill(Path("in"), "b.MP4", "a/b/c.webm", "a/d.avi", "notes.txt", ".hidden.mp4", "a/._d.avi", "e.mp4.part")
    fill(Path("in"), ".git/x.mp4", "@eaDir/x.mp4", "a/__MACOSX/x.mp4", "f.mp4", "f.mp4.aria2")
    videos, errors = listed("in/")
    below = ["a/b/c.webm", "a/d.avi", "b.MP4"]
    assert videos == [Video(f"in/{name}", PurePath(name)) for name in below]
    assert errors == []
    assert caplog.messages == ["'in': 3 videos; not read: 1 .txt, 3 unfinished"]


def test_files_are_taken_whatever_their_ending_and_links_too(tmp_path: Path) -> None:
    fill(tmp_path, "clip.data")
    link = "https://youtu.be/dQw4w9WgXcQ"
    clip, missing = str(tmp_path / "clip.data"), str(tmp_path / "missing.avi")
    videos, errors = listed(clip, link, missing, "x" * 5000)
    assert [(video.source, video.below.name) for video in videos[:3]] == [
        (clip, "clip.data"), (link, "dQw4w9WgXcQ"), (missing, "missing.avi"),
    ]  # fmt: skip
    assert (len(videos), errors) == (4, [])


def test_a_folder_without_videos_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    fill(tmp_path, "full/a.mp4", "other/a.txt")
    (tmp_path / "empty").mkdir()
    videos, errors = listed(*(str(tmp_path / name) for name in ("empty", "full", "other")))
    assert [video.below for video in videos] == [PurePath("a.mp4")]
    assert errors == [
        f"A folder must hold videos. Received: '{tmp_path / 'empty'}', which holds no files.",
        f"A folder must hold videos. Received: '{tmp_path / 'other'}', which holds only 1 .txt.",
    ]
