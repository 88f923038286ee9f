import os
from pathlib import Path

import pytest

from actreel.base.atomic import temporary_name, written_aside


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.txt"
    with written_aside(file) as aside:
        aside.write_text("old", encoding="utf-8")
        assert not file.exists()
    with written_aside(file) as aside:
        aside.write_text("new", encoding="utf-8")
        assert file.read_text(encoding="utf-8") == "old"
    assert file.read_text(encoding="utf-8") == "new"
    assert [path.name for path in file.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("old", encoding="utf-8")

    def write() -> None:
        with written_aside(file) as aside:
            aside.write_text("half", encoding="utf-8")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    temporary_name(file).write_text("from another run", encoding="utf-8")
    with written_aside(file) as aside:
        assert not aside.exists()
        aside.write_text("new", encoding="utf-8")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127])
def test_the_longest_name_that_a_file_can_have(tmp_path: Path, name: str) -> None:
    with written_aside(tmp_path / name) as aside:
        aside.write_bytes(b"whole")
    assert (tmp_path / name).read_bytes() == b"whole"


def test_the_temporary_name_is_hidden_and_keeps_the_ending(tmp_path: Path) -> None:
    # OpenCV's writer goes by the ending, and hidden files are no clips.
    for name in ("clip.avi", "n" * 251 + ".avi"):
        temporary = temporary_name(tmp_path / name).name
        assert temporary.startswith(".")
        assert temporary.endswith(".avi")


def test_the_content_is_on_the_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file.txt"
    flushed: list[tuple[bytes, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append((os.pread(descriptor, 99, 0), file.exists())))
    with written_aside(file) as aside:
        aside.write_bytes(b"whole")
    assert flushed == [(b"whole", False)]
