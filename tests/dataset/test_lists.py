from pathlib import Path

import pytest

from actreel.dataset.lists import read_split_list
from actreel.errors import DatasetError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "clips"),
    [
        ("Archery/v_Archery_g08_c01.avi 3\nArchery/v_Archery_g08_c02.avi 3\n", ["g08_c01.avi", "g08_c02.avi"]),
        ("Archery/v_Archery_g01_c01.avi\r\n\r\nArchery/v_Archery_g01_c02.avi\r\n", ["g01_c01.avi", "g01_c02.avi"]),
        ("\ufeffArchery\\v_Archery_g01_c01.avi", ["g01_c01.avi"]),
    ],
)
def test_official_lists_are_read(tmp_path: Path, content: str, clips: list[str]) -> None:
    assert read_split_list(write(tmp_path / "list.txt", content)) == [f"Archery/v_Archery_{clip}" for clip in clips]


def test_names_may_hold_spaces_numbers_and_accents(tmp_path: Path) -> None:
    names = ["Jump Rope/take 2 of 3.mp4", "Bär/day 1/ä b.MOV", "Wave/1.avi 2.avi"]
    path = write(tmp_path / "list.txt", "\n".join(f"{name} {number}" for number, name in enumerate(names, start=1)))
    assert read_split_list(path) == names


@pytest.mark.parametrize(
    "line", ["v_Archery_g08_c01.avi 3", "/etc/a.avi", "../Wave/a.avi", "1 Archery", "Wave/a.avi x"]
)
def test_a_line_that_names_no_clip_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(DatasetError, match=r"<Action>/<clip>.*line 2 of '.*list\.txt'"):
        read_split_list(write(tmp_path / "list.txt", f"Wave/first.avi 1\n{line}\n"))


def test_a_clip_listed_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"'Wave/a\.avi' in lines 1 and 3"):
        read_split_list(write(tmp_path / "list.txt", "Wave/a.avi 1\nWave/b.avi 1\nWave/a.avi 1\n"))


@pytest.mark.parametrize(("content", "rule"), [("\n \n", "at least 1 clip"), (b"\xff\xfe\x00W", "text file in UTF-8")])
def test_what_is_no_list_is_refused(tmp_path: Path, content: str | bytes, rule: str) -> None:
    with pytest.raises(DatasetError, match=rf"{rule}.*list\.txt"):
        read_split_list(write(tmp_path / "list.txt", content))


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="must be a file"):
        read_split_list(tmp_path / "list.txt")
    with pytest.raises(DatasetError, match="must be a text file"):
        read_split_list(tmp_path)
