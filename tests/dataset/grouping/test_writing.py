import logging
from pathlib import Path

import pytest

from actreel.dataset.grouping.writing import check_no_groups, command_for, write_groups
from actreel.dataset.groups import groups_of
from actreel.errors import DatasetError


def test_the_folders_reader_reads_what_was_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = ['A/é, "1".mp4', "A/b.mp4", " B/c.mp4"]
    file = write_groups(tmp_path, clips, ["x", "y, z", "x"])
    assert file == tmp_path / "groups.csv"
    with caplog.at_level(logging.WARNING):
        assert groups_of(tmp_path, [Path(clip) for clip in clips]) == ["x", "y, z", "x"]
    assert not caplog.messages


def test_a_path_that_the_table_cannot_hold_is_said_and_the_old_table_stays(tmp_path: Path) -> None:
    clip = "A/\udcff.mp4"
    write_groups(tmp_path, ["B/b.mp4"], ["old"])
    with pytest.raises(DatasetError, match=r"cannot be named in groups\.csv.*Rename it"):
        write_groups(tmp_path, [clip, "B/b.mp4"], ["new", "new"])
    assert groups_of(tmp_path, [Path("B/b.mp4")]) == ["old"]


def test_a_table_that_exists_is_not_replaced(tmp_path: Path) -> None:
    check_no_groups(tmp_path, "actreel groups clips")
    write_groups(tmp_path, ["B/b.mp4"], ["old"])
    with pytest.raises(DatasetError, match="actreel groups clips --force"):
        check_no_groups(tmp_path, "actreel groups clips")
    assert command_for("my clips") == "actreel groups 'my clips'"
