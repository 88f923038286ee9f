import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from actreel.dataset.records import data_version, find_clips, index_videos, labels_of, read_index, write_index
from actreel.errors import DatasetError, FileError
from tests.conftest import grey_frames, write_fading_dataset, write_video_file
from tests.dataset.test_fingerprints import scenery


def test_index_describes_every_clip(tmp_path: Path) -> None:
    videos = write_fading_dataset(tmp_path, groups=2, clips=1)
    index = index_videos(videos)
    assert index["clip"].tolist() == sorted(index["clip"])
    row = index.set_index("clip").loc["Darken/v_Darken_g02_c01.avi"]
    assert (row["action"], row["group"], row["num_frames"], row["width"], row["error"]) == ("Darken", "g02", 12, 64, "")
    digest = hashlib.sha256((videos / "Darken/v_Darken_g02_c01.avi").read_bytes()).hexdigest()
    assert row["sha256"] == digest


def test_a_missing_folder_is_named_with_the_stage_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"videos' is missing.*dvc repro ingest"):
        index_videos(tmp_path / "videos")


def test_a_broken_clip_is_a_row_with_its_reason(tmp_path: Path) -> None:
    videos = write_fading_dataset(tmp_path, groups=1, clips=1)
    (videos / "Darken" / "v_Darken_g09_c01.avi").write_bytes(b"nothing")
    index = index_videos(videos).set_index("clip")
    assert "v_Darken_g09_c01.avi" in index.loc["Darken/v_Darken_g09_c01.avi", "error"]
    assert index.loc["Darken/v_Darken_g09_c01.avi", "num_frames"] == 0


def test_hidden_and_foreign_files_are_no_clips(tmp_path: Path) -> None:
    write_video_file(tmp_path / "Wave" / "deep er" / "ä b.avi", grey_frames([1, 2]))
    for name in (".hidden.avi", ".x.avi.part", "notes.txt"):
        (tmp_path / "Wave" / name).write_bytes(b"")
    (tmp_path / "loose.avi").write_bytes(b"")
    assert find_clips(tmp_path) == [Path("Wave/deep er/ä b.avi")]


def test_a_folder_that_came_split_gives_actions_groups_and_splits(tmp_path: Path) -> None:
    write_fading_dataset(tmp_path / "train", groups=2, clips=1)
    (tmp_path / "train/Darken/v_Darken_g02_c01.avi").rename(tmp_path / "v_Darken_g02_c01.avi")
    (tmp_path / "test/Darken").mkdir(parents=True)
    (tmp_path / "v_Darken_g02_c01.avi").rename(tmp_path / "test/Darken/v_Darken_g02_c01.avi")
    (tmp_path / "groups.csv").write_text("clip,group\ntrain/Darken/v_Darken_g01_c01.avi,Anna\n", encoding="utf-8")
    index = index_videos(tmp_path)
    assert index[["clip", "action", "group", "folder_split"]].to_numpy().tolist() == [
        ["test/Darken/v_Darken_g02_c01.avi", "Darken", "g02", "test"],
        ["train/Brighten/v_Brighten_g01_c01.avi", "Brighten", "g01", "train"],
        ["train/Brighten/v_Brighten_g02_c01.avi", "Brighten", "g02", "train"],
        ["train/Darken/v_Darken_g01_c01.avi", "Darken", "Anna", "train"],
    ]


def test_one_recording_encoded_anew_is_in_one_group(tmp_path: Path) -> None:
    write_video_file(tmp_path / "Kick/v_Kick_g01_c01.avi", scenery(1))
    write_video_file(tmp_path / "Kick/again.mp4", scenery(1), codec="mp4v")
    write_video_file(tmp_path / "Wave/v_Wave_g02_c01.avi", scenery(2))
    assert index_videos(tmp_path)["group"].tolist() == ["g01", "g01", "g02"]


def test_one_action_is_no_dataset(tmp_path: Path) -> None:
    write_video_file(tmp_path / "Wave" / "a.avi", grey_frames([1, 2]))
    write_video_file(tmp_path / "_unknown" / "a.avi", grey_frames([1, 2]))
    with pytest.raises(DatasetError, match=r"at least 2 actions.*Received: 'Wave'"):
        index_videos(tmp_path)


def test_index_survives_the_file(tmp_path: Path) -> None:
    index = index_videos(write_fading_dataset(tmp_path / "videos", groups=1, clips=1))
    index["split"] = ["train", "test"]
    write_index(index, tmp_path / "index.parquet")
    pd.testing.assert_frame_equal(read_index(tmp_path / "index.parquet"), index, check_dtype=False)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.parquet"]


def test_data_version_names_contents_and_splits() -> None:
    index = pd.DataFrame({"clip": ["a", "b"], "sha256": ["1", "2"], "group": ["g1", "g2"], "split": ["train", "test"]})
    version = data_version(index)
    assert data_version(index.iloc[::-1]) == version
    assert data_version(index.assign(split=["train", "val"])) != version
    assert data_version(index.assign(sha256=["1", "3"])) != version


def test_labels_are_the_learned_actions_only() -> None:
    index = pd.DataFrame({"action": ["b", "a", "c", "_unknown"], "split": ["train", "test", "left_out", "_unknown"]})
    assert labels_of(index) == ["a", "b"]


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_damaged_index_is_named_with_what_to_run(tmp_path: Path, size: int) -> None:
    file = tmp_path / "index.parquet"
    write_index(pd.DataFrame({"clip": ["Wave/a.avi"]}), file)
    os.truncate(file, size % file.stat().st_size)
    with pytest.raises(FileError, match=r"index\.parquet' is damaged.*dvc repro index"):
        read_index(file)
    file.unlink()
    with pytest.raises(FileError, match=r"index\.parquet' is missing.*dvc repro index"):
        read_index(file)
