import logging
import shutil
from pathlib import Path

import pytest

from actreel.config import DatasetParams
from actreel.dataset.folder import read_folder
from actreel.dataset.sources import adopt_folder, ingest
from actreel.errors import DatasetError
from tests.conftest import grey_frames, write_video_file
from tests.dataset.rar import write_rar
from tests.dataset.test_folder import put


def test_all_clips_of_a_folder_are_ingested(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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
    assert "1 folders contain no clips and are left out: 'Empty'" in caplog.text
    assert "1 files are no videos and are left out: 1 .txt (first: 'notes.txt')" in caplog.text


def test_what_is_left_out_is_said_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ("Wave/a.avi", "wave/b.avi", "loose.avi", "Wave/x.jpg", "Wave/y.JPG", "Wave/z.abc", "Wave/c.mp4.part")
    for name in names:
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(b"x")
    (tmp_path / "source/Wave/round").symlink_to(tmp_path / "source")
    adopt_folder(tmp_path / "source", tmp_path / "videos")
    assert [record.message for record in caplog.records] == [
        "the folders 'Wave' and 'wave' count as 2 actions. If they are one, put their clips into one folder",
        "1 videos lie at the top level and belong to no action; they are left out: 'loose.avi'. "
        "Put them into one folder per action",
        "3 files are no videos and are left out: 2 .jpg, 1 .abc (first: 'Wave/x.jpg')",
        "1 downloads are not complete and are left out: 'Wave/c.mp4.part'",
        "links to a folder that they lie in are not followed: 'Wave/round'",
    ]


@pytest.mark.parametrize("wrapper", ["", "archive", "archive/videos"])
def test_a_folder_that_came_split_keeps_its_splits(
    tmp_path: Path, wrapper: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("train/Wave/a.avi", "train/Clap/b.avi", "test/Wave/c.avi", "test/Clap/d.avi", "test/1.avi")
    put(tmp_path / "source" / wrapper, *names)
    adopt_folder(tmp_path / "source", tmp_path / "videos")
    found = {path.relative_to(tmp_path / "videos").as_posix() for path in (tmp_path / "videos").rglob("*.*")}
    assert found == set(names[:-1])
    assert [record.message for record in caplog.records] == [
        "1 clips lie in the folder of a split, but in none of an action, and are left out: 'test/1.avi'"
    ]


def test_a_split_s_name_that_counts_as_an_action_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "source", "train/Wave/a.avi", "unseen/Wave/b.avi")
    adopt_folder(tmp_path / "source", tmp_path / "videos")
    assert [record.message for record in caplog.records] == [
        "these folders count as actions, though their names are those of splits: 'train'. If they are splits, rename "
        "the other folders beside them too: train, val and test"
    ]


def test_a_split_without_actions_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "train/a.avi", "test/b.avi")
    with pytest.raises(DatasetError, match=r"the folders test and train must hold one sub-folder per action"):
        adopt_folder(tmp_path, tmp_path / "videos")


def test_clips_are_copied_where_links_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def params(name: str, path: Path) -> DatasetParams:
    return DatasetParams.model_validate(
        {"name": name, "path": str(path), "group_pattern": None, "demo_groups": 3, "demo_clips": 1, "seed": 0}
    )


def test_ingest_follows_the_name(tmp_path: Path) -> None:
    write_video_file(tmp_path / "source" / "Wave" / "a.avi", grey_frames([1, 2]))
    ingest(params("folder", tmp_path / "source"), tmp_path / "videos", tmp_path / "unpacked")
    assert (tmp_path / "videos" / "Wave" / "a.avi").exists()


def test_groups_csv_is_ingested_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_video_file(tmp_path / "source" / "Wave" / "a.avi", grey_frames([1, 2]))
    (tmp_path / "source" / "groups.csv").write_text("clip,group\nWave/a.avi,Anna\n", encoding="utf-8")
    adopt_folder(tmp_path / "source", tmp_path / "videos")
    assert (tmp_path / "videos" / "groups.csv").read_bytes() == (tmp_path / "source" / "groups.csv").read_bytes()
    assert not caplog.text


CLIPS = {
    "YoYo/v_YoYo_g01_c01.avi": b"one",
    "Jump Rope/v_JumpRope_g01_c01.avi": b"two",
}


def brought_in(tmp_path: Path, path: Path) -> dict[str, bytes]:
    videos = tmp_path / "videos"
    ingest(params("ucf50", path), videos, tmp_path / "data" / "unpacked")
    return {file.relative_to(videos).as_posix(): file.read_bytes() for file in videos.rglob("*") if file.is_file()}


def test_ucf50_is_read_from_its_archive_and_unpacked_once(tmp_path: Path) -> None:
    archive = write_rar(tmp_path / "UCF50.rar", {f"UCF50/{name}": content for name, content in CLIPS.items()})
    assert brought_in(tmp_path, archive) == CLIPS
    unpacked = tmp_path / "data" / "unpacked" / "UCF50" / "YoYo" / "v_YoYo_g01_c01.avi"
    assert (tmp_path / "videos" / "YoYo" / unpacked.name).samefile(unpacked)  # a link: no second copy
    shutil.rmtree(tmp_path / "videos")
    before = unpacked.stat().st_ino
    assert brought_in(tmp_path, archive) == CLIPS
    assert unpacked.stat().st_ino == before


@pytest.mark.parametrize("wrapper", ["", "UCF50", "download/UCF50"])
def test_ucf50_is_linked_from_an_unpacked_folder(tmp_path: Path, wrapper: str) -> None:
    for name, content in CLIPS.items():
        file = tmp_path / "mine" / wrapper / name
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    (tmp_path / "mine" / "readme.txt").write_text("downloaded on Monday", encoding="utf-8")
    for left in ("__MACOSX/UCF50/YoYo/._v_YoYo_g01_c01.avi", "@eaDir/UCF50/x.avi", "$RECYCLE.BIN/UCF50/x.avi"):
        (tmp_path / "mine" / left).parent.mkdir(parents=True)
        (tmp_path / "mine" / left).write_bytes(b"x")
    assert brought_in(tmp_path, tmp_path / "mine") == CLIPS
    for name in CLIPS:
        assert (tmp_path / "videos" / name).samefile(tmp_path / "mine" / wrapper / name)
    assert not (tmp_path / "data").exists()


def test_a_truncated_ucf50_is_refused(tmp_path: Path) -> None:
    archive = write_rar(tmp_path / "UCF50.rar", {f"UCF50/{name}": content for name, content in CLIPS.items()})
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"complete and readable.*UCF50\.rar"):
        brought_in(tmp_path, archive)
    assert not (tmp_path / "videos").exists()


def test_signals_come_with_the_clip_of_their_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.avi", "b.avi"):
        write_video_file(tmp_path / "source" / "Wave" / name, grey_frames([90] * 3))
    (tmp_path / "source" / "Wave" / "a.csv").write_text("time,x\n0,1\n1,1\n", encoding="utf-8")
    (tmp_path / "source" / "Wave" / "notes.csv").write_text("none", encoding="utf-8")
    adopt_folder(tmp_path / "source", tmp_path / "videos")
    assert sorted(path.name for path in (tmp_path / "videos").rglob("*.*")) == ["a.avi", "a.csv", "b.avi"]
    assert "1 files are no videos and are left out" in caplog.text


def test_in_a_folder_without_videos_files_of_signals_are_the_clips(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("walk/p1_1.csv", "walk/p2_1.npz", "fall/p1_1.csv", "groups.csv", "walk/notes.txt"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    (source / "groups.csv").write_text("clip,group\nwalk/p1_1.csv,a\nwalk/p2_1.npz,b\nfall/p1_1.csv,a\n")
    adopt_folder(source, tmp_path / "videos")
    found = sorted(path.relative_to(tmp_path / "videos").as_posix() for path in (tmp_path / "videos").rglob("*.*"))
    assert found == ["fall/p1_1.csv", "groups.csv", "walk/p1_1.csv", "walk/p2_1.npz"]
    assert [path.as_posix() for path in read_folder(source).clips] == [name for name in found if name != "groups.csv"]
