from pathlib import Path

import pytest

from actreel.errors import ActreelError, ConfigError, DatasetError, VideoError
from actreel.teaching.lesson import check_names, read_lesson


def clip(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or path.as_posix(), encoding="utf-8")
    return path


def test_an_action_s_clips_are_files_and_folders_and_their_groups_are_found(tmp_path: Path) -> None:
    named = clip(tmp_path / "a" / "v_Wave_g07_c01.avi")
    for name in ("ben_1.mp4", "ben_2.mp4", "cleo_1.mp4"):
        clip(tmp_path / "b" / name)
    clip(tmp_path / "b" / "notes.txt")
    copy = clip(tmp_path / "c" / "copy.avi", named.read_text(encoding="utf-8"))
    rows = read_lesson("Wave", [named, tmp_path / "b", copy], r"(?P<group>ben|cleo)_")
    assert rows["clip"].tolist() == ["v_Wave_g07_c01.avi", "ben_1.mp4", "ben_2.mp4", "cleo_1.mp4"]
    assert rows["group"].tolist() == ["g07", "ben", "ben", "cleo"]
    assert set(rows["action"]) == {"Wave"}
    alone = read_lesson("Wave", [tmp_path / "b"])
    assert alone["group"].nunique() == 3
    assert not alone["group"].str.contains("mp4").any(), "a group of one clip goes by its content, wherever it lies"


def test_a_dataset_folder_gives_actions_and_groups(tmp_path: Path) -> None:
    for name in ("Wave/1.avi", "Wave/2.avi", "Jump/3.avi", "_unknown/4.avi"):
        clip(tmp_path / name)
    (tmp_path / "groups.csv").write_text("clip,group\nWave/1.avi,anna\nJump/3.avi,anna\n", encoding="utf-8")
    rows = read_lesson(str(tmp_path), []).set_index("clip")
    assert rows["action"].to_dict() == {
        "Wave/1.avi": "Wave", "Wave/2.avi": "Wave", "Jump/3.avi": "Jump", "_unknown/4.avi": "_unknown",
    }  # fmt: skip
    assert rows.loc[["Wave/1.avi", "Jump/3.avi"], "group"].tolist() == ["anna", "anna"]


def test_what_cannot_be_a_lesson_is_refused_with_what_can(tmp_path: Path) -> None:
    video, folder = clip(tmp_path / "flat" / "1.avi"), tmp_path / "flat"
    (tmp_path / "empty").mkdir()
    refused: list[tuple[str, list[Path], type[ActreelError], str]] = [
        ("Wave", [], ConfigError, r"Received: 'Wave', which is no folder. Try: actreel teach NAME CLIP\.\.\."),
        (str(folder), [], DatasetError, r"Name their action: actreel teach NAME '.*flat'"),
        ("_unknown", [video], ConfigError, "Received: '_unknown'"),
        (" Wave", [video], ConfigError, "no space at its ends"),
        ("Wave", [tmp_path / "none.avi"], VideoError, r"A clip must exist. Received: '.*none\.avi'"),
        ("Wave", [tmp_path / "empty"], DatasetError, "which holds none"),
    ]
    for what, clips, error, said in refused:
        with pytest.raises(error, match=said):
            read_lesson(what, clips)
    clip(tmp_path / "two" / "Wave" / "1.avi", "same")
    clip(tmp_path / "two" / "Jump" / "2.avi", "same")
    with pytest.raises(DatasetError, match=r"must show one action.*Jump/2\.avi.*Wave/1\.avi"):
        read_lesson(str(tmp_path / "two"), [])


def test_names_of_new_actions_differ_from_the_others(tmp_path: Path) -> None:
    rows = read_lesson("jump rope", [clip(tmp_path / "1.avi")])
    assert check_names(rows, ["Jump", "Wave"]) == ["jump rope"]
    assert check_names(rows, ["jump rope", "Wave"]) == []
    with pytest.raises(DatasetError, match="'JumpRope', 'jump rope'"):
        check_names(rows, ["JumpRope", "Wave"])
    clip(tmp_path / "none" / "_unknown" / "1.avi")
    with pytest.raises(DatasetError, match="only clips of '_unknown'"):
        check_names(read_lesson(str(tmp_path / "none"), []), ["Jump"])
