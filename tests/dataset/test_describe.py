import pandas as pd
import pytest

from actreel.dataset.describe import by_action, by_group


@pytest.fixture
def index() -> pd.DataFrame:
    """Two actions in three groups, one unreadable clip, and one clip of no known action."""
    rows = [
        ("jump/1.avi", "jump", "anna", "train", 25.0, 320, 2.0, ""),
        ("jump/2.avi", "jump", "anna", "train", 25.0, 320, 4.0, ""),
        ("jump/3.avi", "jump", "ben", "test", 30.0, 160, 9.0, ""),
        ("jump/4.avi", "jump", "ben", "unreadable", 0.0, 0, 0.0, "broken"),
        ("wave/1.avi", "wave", "cleo", "val", 25.0, 320, 1.5, ""),
        ("_unknown/1.avi", "_unknown", "anna", "_unknown", 25.0, 320, 9.0, ""),
    ]
    columns = ["clip", "action", "group", "split", "fps", "width", "duration_s", "error"]
    return pd.DataFrame(rows, columns=columns).assign(height=240)


def test_actions_are_counted_by_split_without_unreadable_clips(index: pd.DataFrame) -> None:
    table = by_action(index).set_index("action")
    assert table.loc["jump", ["clips", "groups", "train", "val", "test"]].tolist() == [3, 2, 2, 0, 1]
    assert table.loc["wave", ["clips", "groups", "train", "val", "test"]].tolist() == [1, 1, 0, 1, 0]
    assert table.loc["_unknown", ["clips", "train", "val", "test"]].tolist() == [1, 0, 0, 0]


def test_durations_are_in_seconds(index: pd.DataFrame) -> None:
    jump = by_action(index).set_index("action").loc["jump"]
    assert jump[["seconds", "shortest_s", "median_s", "longest_s"]].tolist() == [15.0, 2.0, 4.0, 9.0]


def test_the_commonest_rates_and_sizes_come_first(index: pd.DataFrame) -> None:
    jump = by_action(index).set_index("action").loc["jump"]
    assert jump["frame_rates"] == "25.0, 30.0"
    assert jump["sizes"] == "320x240, 160x240"


def test_only_three_sizes_are_listed() -> None:
    clips = [("a", f"a/{width}.avi", "g", "train", 25.0, width, 240, 1.0, "") for width in (100, 200, 300, 400, 500)]
    columns = ["action", "clip", "group", "split", "fps", "width", "height", "duration_s", "error"]
    (sizes,) = by_action(pd.DataFrame(clips, columns=columns))["sizes"]
    assert sizes.endswith("and 2 more")
    assert sizes.count("x240") == 3


def test_groups_show_their_split_and_their_clips_of_each_action(index: pd.DataFrame) -> None:
    table = by_group(index).set_index("group")
    assert table["split"].to_dict() == {"anna": "train", "ben": "test", "cleo": "val"}
    assert table["jump"].to_dict() == {"anna": 2, "ben": 1, "cleo": 0}
    assert "_unknown" not in table


def test_a_group_in_two_splits_shows_both(index: pd.DataFrame) -> None:
    index.loc[0, "split"] = "test"
    assert by_group(index).set_index("group").loc["anna", "split"] == "test+train"
