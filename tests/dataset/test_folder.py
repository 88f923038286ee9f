import os
from pathlib import Path

import pytest

from actreel.dataset.folder import LEFTOVERS, UNFINISHED, alike, is_leftover, read_folder

HIDDEN = [".DS_Store", "._a.avi", ".AppleDouble", ".Trashes", ".Spotlight-V100", ".fseventsd", ".hidden.mp4"]


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


@pytest.mark.parametrize(
    "name", [*sorted(LEFTOVERS), *HIDDEN, "THUMBS.DB", "Desktop.ini", "$Recycle.Bin", "FOUND.000", "found.012"]
)
def test_what_computers_leave_is_passed_over(tmp_path: Path, name: str) -> None:
    put(tmp_path, "Wave/a.avi", f"{name}/Wave/b.avi", f"Wave/{name}/c.avi")
    put(tmp_path / "Clap", name, "d.avi")
    contents = read_folder(tmp_path)
    assert contents.clips == [Path("Clap/d.avi"), Path("Wave/a.avi")]
    assert contents.folders == ["Clap", "Wave"]
    assert not contents.others
    assert not contents.unfinished
    assert is_leftover(name)


@pytest.mark.parametrize("ending", UNFINISHED)
def test_downloads_that_are_not_complete_are_no_clips(tmp_path: Path, ending: str) -> None:
    # Some programs keep a note beside the file that they fill, and Safari keeps the file in a folder.
    put(tmp_path / "Wave", "a.avi", f"b.mp4{ending.upper()}", f"c.mp4{ending}", "c.mp4", f"d.mp4{ending}/d.mp4")
    contents = read_folder(tmp_path)
    assert contents.clips == [Path("Wave/a.avi")]
    assert len(contents.unfinished) == 4
    assert not contents.others


@pytest.mark.parametrize("name", ["a.f137.mp4.part-Frag12", "a.temp.mp4"])
def test_what_yt_dlp_has_not_finished_is_no_clip(tmp_path: Path, name: str) -> None:
    put(tmp_path / "Wave", "attempt.mp4", name)
    contents = read_folder(tmp_path)
    assert (contents.clips, contents.unfinished) == ([Path("Wave/attempt.mp4")], [Path("Wave", name)])


def test_a_clip_that_icloud_has_not_brought_is_told(tmp_path: Path) -> None:
    put(tmp_path / "Wave", "a.mp4", ".b.mp4.icloud")
    contents = read_folder(tmp_path)
    assert (contents.clips, contents.unfinished) == ([Path("Wave/a.mp4")], [Path("Wave/.b.mp4.icloud")])


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a.avi", "deep/b.avi")
    put(tmp_path / "clips", "Wave/own.avi")
    clips = tmp_path / "clips"
    (clips / "Clap").symlink_to(tmp_path / "elsewhere")
    (clips / "Wave/more").symlink_to(tmp_path / "elsewhere/deep")
    (clips / "Wave/one.avi").symlink_to(tmp_path / "elsewhere/a.avi")
    (clips / "Wave/circle").symlink_to(clips)
    (clips / "Wave/self").symlink_to("self")
    (clips / "Gone").symlink_to(tmp_path / "gone")
    contents = read_folder(clips)
    linked = [Path(name) for name in ("Clap/a.avi", "Clap/deep/b.avi", "Wave/more/b.avi", "Wave/one.avi")]
    assert contents.linked == linked
    assert contents.clips == sorted([*linked, Path("Wave/own.avi")])
    assert contents.loops == [Path("Wave/circle")]
    assert contents.broken == [Path("Gone"), Path("Wave/self")]


def test_each_file_has_its_kind(tmp_path: Path) -> None:
    put(tmp_path, "loose.MOV", "notes.txt", "Wave/a.3GP", "Wave/b.jpg", "Wave/readme")
    os.mkfifo(tmp_path / "Wave/pipe.avi")
    contents = read_folder(tmp_path)
    assert contents.clips == [Path("Wave/a.3GP")]
    assert contents.loose == [Path("loose.MOV")]
    assert contents.others == [Path("Wave/b.jpg"), Path("Wave/readme"), Path("notes.txt")]


def test_names_that_may_be_one_action_are_found() -> None:
    assert alike(["wave", "Clap", "Wave", "Jump Rope", "jump_rope", "JumpRope", "Clap2", "+", "-"]) == [
        ["Jump Rope", "JumpRope", "jump_rope"],
        ["Wave", "wave"],
    ]
    assert alike(["Caf\u00e9", "Cafe\u0301"]) == [["Cafe\u0301", "Caf\u00e9"]]
