import os
import re
import sys
from pathlib import Path

import pytest

from actreel.config import DEMO_PATH, DatasetParams
from actreel.dataset.watch import checked_folder, files_behind_links, files_of_weights
from actreel.errors import DatasetError
from tests.dataset.test_folder import put
from tests.dataset.test_sources import params


def refusal(folder: Path) -> str:
    with pytest.raises(DatasetError, match=rf"dataset\.path must.*Received: '{re.escape(str(folder))}'") as caught:
        checked_folder(folder)
    return str(caught.value)


def test_a_folder_that_does_not_exist_is_said_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "my_clips").mkdir()
    assert refusal(tmp_path / "my_clip").endswith(f"which does not. Did you mean '{tmp_path / 'my_clips'}'?")
    assert refusal(tmp_path / "no" / "where").endswith("which does not. Check the path.")


def test_a_folder_without_clips_is_told_from_an_empty_one(tmp_path: Path) -> None:
    put(tmp_path / "loose", "a.avi", "b.mp4", "c.mov")
    assert "3 videos lie at the top level; put them into one folder per action: 'a.avi'" in refusal(tmp_path / "loose")
    put(tmp_path / "frames", *(f"Wave/{number}.jpg" for number in range(6)))
    assert "6 images found, no videos (first: 'Wave/0.jpg')" in refusal(tmp_path / "frames")
    put(tmp_path / "text", "Wave/a.txt", "Wave/b.xyz", "Wave/c.xyz")
    assert "no videos: 2 .xyz, 1 .txt. These endings are read: .264 " in refusal(tmp_path / "text")
    put(tmp_path / "loading", "Wave/a.mp4.part")
    assert "1 downloads are not complete: 'Wave/a.mp4.part'" in refusal(tmp_path / "loading")
    (tmp_path / "empty/Wave").mkdir(parents=True)
    assert "It holds no files." in refusal(tmp_path / "empty")
    put(tmp_path, "file.avi")
    assert "which is a file." in refusal(tmp_path / "file.avi")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS allows no such name")
def test_names_that_are_no_utf8_are_listed_as_bash_writes_them(tmp_path: Path) -> None:
    """DVC and Parquet cannot keep them."""
    put(tmp_path / "my clips", "Wave/caf\udce9.avi", "Cli\udcffp/a.avi", "Cl\u00e4p/b.avi")
    with pytest.raises(DatasetError, match=r"dataset\.path must be UTF-8") as caught:
        checked_folder(tmp_path / "my clips")
    assert r"'Cli\xffp', 'Wave/caf\xe9.avi'. Rename" in str(caught.value)
    assert str(caught.value).endswith(f"--notest '{tmp_path}/my clips'")


def test_a_broken_link_is_named_with_its_target(tmp_path: Path) -> None:
    put(tmp_path / "clips", "Wave/a.avi")
    (tmp_path / "clips/Clap").symlink_to("/mnt/disk/Clap")
    for name in ("folder", "ucf50"):
        with pytest.raises(DatasetError, match=r"'Clap' leads to '/mnt/disk/Clap'\. Remove"):
            files_behind_links(params(name, tmp_path / "clips"))


def test_files_behind_links_are_listed_until_they_change(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a.avi")
    put(tmp_path / "clips", "Wave/own.avi")
    (tmp_path / "clips/Clap").symlink_to(tmp_path / "elsewhere")
    own = params("folder", tmp_path / "clips")
    before = files_behind_links(own)
    assert list(before) == ["Clap/a.avi"]
    assert before["Clap/a.avi"][:2] == (str(tmp_path / "elsewhere/a.avi"), 1)
    put(tmp_path / "clips", "Wave/more.avi")  # DVC sees it
    assert files_behind_links(own) == before
    put(tmp_path / "elsewhere", "b.avi")
    assert list(files_behind_links(own)) == ["Clap/a.avi", "Clap/b.avi"]
    os.utime(tmp_path / "elsewhere/a.avi", ns=(1, 1))
    assert files_behind_links(own)["Clap/a.avi"] != before["Clap/a.avi"]


def test_the_demo_and_an_archive_have_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = DatasetParams.model_validate(params("folder", tmp_path).model_dump() | {"name": "demo", "path": DEMO_PATH})
    assert files_behind_links(demo) == {}
    monkeypatch.chdir(tmp_path)
    assert files_behind_links(params("ucf50", Path("data/UCF50.rar"))) == {}  # DVC is going to download it
    with pytest.raises(DatasetError, match=r"dataset\.path must exist"):
        files_behind_links(params("ucf50", tmp_path / "UCF50.rar"))


def test_files_of_weights_are_listed_until_they_change(tmp_path: Path) -> None:
    put(tmp_path, "e.onnx", "e.onnx.data", "e.yaml", "other.onnx", "e.onnxx")
    weights = str(tmp_path / "e.onnx")
    before = files_of_weights(weights)
    assert {Path(name).name for name in before} == {"e.onnx", "e.onnx.data", "e.yaml"}
    os.utime(tmp_path / "e.yaml", ns=(1, 1))
    assert files_of_weights(weights) != before
    for none in ("imagenet", "none", str(tmp_path / "missing.h5")):
        assert files_of_weights(none) == {}
