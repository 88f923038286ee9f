import logging
from pathlib import Path

import pytest

from actreel.config import DatasetParams
from actreel.dataset.sources import adopt_folder, ingest
from actreel.errors import DatasetError
from tests.conftest import grey_frames, write_video_file


def test_a_folder_is_brought_in_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "source"
    for name in ("Wave/a.avi", "Wave/day 2/ä.mp4", "Clap/b.avi"):
        write_video_file(source / name, grey_frames([1, 2]), codec="mp4v" if name.endswith("mp4") else "MJPG")
    (source / "Empty").mkdir()
    (source / "notes.txt").write_text("mine", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        adopt_folder(source, tmp_path / "videos")
    found = {path.relative_to(tmp_path / "videos").as_posix() for path in (tmp_path / "videos").rglob("*.*")}
    assert found == {"Wave/a.avi", "Wave/day 2/ä.mp4", "Clap/b.avi"}
    for name in found:
        assert (tmp_path / "videos" / name).read_bytes() == (source / name).read_bytes()
    assert "class folder 'Empty' holds no clips" in caplog.text
    assert "first: 'notes.txt'" in caplog.text


def test_where_links_are_refused_clips_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another device")

    monkeypatch.setattr("os.link", refuse)
    path = write_video_file(tmp_path / "source" / "Wave" / "a.avi", grey_frames([1, 2]))
    adopt_folder(tmp_path / "source", tmp_path / "videos")
    copy = tmp_path / "videos" / "Wave" / "a.avi"
    assert copy.read_bytes() == path.read_bytes()
    assert copy.stat().st_ino != path.stat().st_ino


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_a_source_without_clips_is_refused(tmp_path: Path, make: object) -> None:
    source = tmp_path / "source"
    make(source)  # type: ignore[operator]
    with pytest.raises(DatasetError, match=r"dataset\.path must .*source"):
        adopt_folder(source, tmp_path / "videos")


def test_ingest_follows_the_name(tmp_path: Path) -> None:
    write_video_file(tmp_path / "source" / "Wave" / "a.avi", grey_frames([1, 2]))
    params = DatasetParams(name="folder", path=str(tmp_path / "source"), demo_groups=3, demo_clips=1, seed=0)
    ingest(params, tmp_path / "videos")
    assert (tmp_path / "videos" / "Wave" / "a.avi").exists()
