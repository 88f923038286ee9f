import unicodedata
from pathlib import Path

import pytest

from actreel.dataset.groups import GROUPS_FILE, groups_of
from actreel.errors import DatasetError


def write_groups(folder: Path, text: str) -> Path:
    (folder / GROUPS_FILE).write_bytes(text.encode())
    return folder


def groups(folder: Path, *clips: str, pattern: str | None = None) -> list[str]:
    return groups_of(folder, [Path(clip) for clip in clips], pattern)


@pytest.mark.parametrize(
    ("name", "group"),
    [("v_YoYo_g01_c02.avi", "g01"), ("v_HorseRace_g7_c1.mp4", "g07"), ("v_Jump_Rope_g25_c04.avi", "g25")],
)
def test_ucf_names_contain_the_group(tmp_path: Path, name: str, group: str) -> None:
    assert groups(tmp_path, f"YoYo/{name}") == [group]


@pytest.mark.parametrize(
    "name",
    [
        "{} - Copy.mp4", "{} - Copy (2).mp4", "{} - Copy - Copy.mp4", "{} copy.mp4", "{} copy 2.mp4", "{} (1).mp4",
        "{}(1).mp4", "{} (another copy).mp4", "{} (3rd copy).mp4", "Copy of {}.mp4", "Copy (2) of {}.mp4", "{}~1.mp4",
        "Copy of Copy of {} (1).mp4", "{}_copy.mp4", "copy_{}.mp4", "{} - Kopie (3).mp4", "Kopie von {}.mp4",
        "{}\u306e\u30b3\u30d4\u30fc.mp4", "{} (Ben's conflicted copy 2024-01-02).mp4", "{}.avi.mp4", "{}_1.mp4",
        "{}-edited.mp4", "{}_360p.mp4", "my {}.avi", "{}b.mp4", "{}copy.mp4", "Copy%20of%20{}.mp4", "{}%20(1).mp4",
    ],
)  # fmt: skip
def test_a_copy_has_its_original_s_group_though_it_may_be_cut_or_encoded_anew(tmp_path: Path, name: str) -> None:
    assert groups(tmp_path, f"YoYo/{name.format('v_YoYo_g03_c02')}", "YoYo/b.avi") == ["g03", "YoYo/b.avi"]


@pytest.mark.parametrize("name", ["holiday.mp4", "v_YoYo_g01.avi", "tv_YoYo_g01_c02.avi"])
def test_other_clips_are_one_group_each_with_a_warning(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert groups(tmp_path, f"a/{name}", "b/v_b_g01_c01.avi") == [f"a/{name}", "g01"]
    assert f"1 of 2 clips have no known group and count as one group each (first: 'a/{name}')" in caplog.text


def test_a_pattern_finds_the_group_in_the_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = groups(tmp_path, "Wave/anna_1.mp4", "Clap/day 2/ben_1.mp4", pattern=r"(?P<group>[a-z]+)_\d+\.")
    assert found == ["anna", "ben"]
    assert groups(tmp_path, "Wave/day 1/x.mp4", pattern=r"/(?P<group>day \d)/") == ["day 1"]
    assert not caplog.text


def test_the_table_wins_over_the_pattern_and_the_pattern_over_ucf_names(tmp_path: Path) -> None:
    write_groups(tmp_path, "clip,group\na/v_x_g01_c01.avi,Anna\n")
    clips = ("a/v_x_g01_c01.avi", "a/v_x_g02_c01.avi", "b/v_y_g03_c01.avi")
    assert groups(tmp_path, *clips, pattern="a/.*_(?P<group>c[0-9]+)") == ["Anna", "c01", "g03"]


def test_a_pattern_that_finds_nothing_falls_through(tmp_path: Path) -> None:
    assert groups(tmp_path, "a/v_x_g01_c01.avi", pattern="(?P<group>z*)") == ["g01"]
    assert groups(tmp_path, "a/v_x_g01_c01.avi", pattern="x(?P<group>z)?") == ["g01"]


def test_tables_of_spreadsheets_and_other_systems_are_read(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Bär/ä b.avi")
    write_groups(tmp_path, f'\ufeffgroup,Clip ,note\r\nAnna,"Bär\\take, 1.avi",x\r\nBen,{decomposed},\r\n')
    assert groups(tmp_path, "Bär/take, 1.avi", unicodedata.normalize("NFC", decomposed)) == ["Anna", "Ben"]


def test_a_folder_s_name_may_begin_or_end_with_a_blank(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / GROUPS_FILE).write_text("clip,group\n Wave/a.avi,one\n Clap /b.avi ,two\n", encoding="utf-8")
    assert groups(tmp_path, " Wave/a.avi", "Clap /b.avi") == ["one", "two"]
    assert not caplog.text


def test_a_warning_names_rows_of_missing_clips(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_groups(tmp_path, "clip,group\na/x.avi,Anna\na/gone.avi,Anna\n")
    assert groups(tmp_path, "a/x.avi") == ["Anna"]
    assert "names 1 clips that do not exist (first: 'a/gone.avi')" in caplog.text


@pytest.mark.parametrize(
    ("table", "fact"),
    [
        ("", "columns clip,group. Received: nothing"),
        ("file;who\na/x.avi;Anna\n", "columns clip,group. Received: file;who"),
        ("clip,group\na/x.avi,\n", "line 2"),
        ("clip,group\na/x.avi\n", "line 2"),
        ("clip,group\na/x.avi,Anna\na/x.avi,Ben\n", "'a/x.avi' in 'Anna' and in 'Ben', line 3"),
        ("clip,group\nx.avi,Anna\ny.avi,Ben\n", "as in 'a/x.avi'. Received: 'x.avi' and 1 more"),
    ],
)
def test_the_error_about_a_wrong_table_names_the_line(tmp_path: Path, table: str, fact: str) -> None:
    with pytest.raises(DatasetError, match=GROUPS_FILE) as caught:
        groups(write_groups(tmp_path, table), "a/x.avi")
    assert fact in str(caught.value)


def test_messages_name_the_users_folder(tmp_path: Path) -> None:
    write_groups(tmp_path, "clip\n")
    with pytest.raises(DatasetError, match=r"'/my/clips/groups\.csv' must have the columns"):
        groups_of(tmp_path, [Path("a/x.avi")], source=Path("/my/clips"))


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / GROUPS_FILE).write_bytes("clip,group\na/x.avi,Jürgen\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"groups\.csv' must be a CSV table in UTF-8"):
        groups(tmp_path, "a/x.avi")
