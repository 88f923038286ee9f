import pandas as pd
import pytest

from actreel.dataset.describe import by_action, by_group


@pytest.fixture
def index() -> pd.DataFrame:
    rows = [
        ("Wave", "g1", "train", 25.0, 320, 240, 2.0, ""),
        ("Wave", "g1", "train", 25.0, 320, 240, 4.0, ""),
        ("Wave", "g2", "test", 30.0, 160, 120, 3.0, ""),
        ("Clap", "g1", "train", 25.0, 320, 240, 1.0, ""),
        ("Clap", "g2", "val", 25.0, 320, 240, 1.5, ""),
        ("Clap", "g3", "unreadable", 0.0, 0, 0, 0.0, "damaged"),
        ("_unknown", "g3", "_unknown", 25.0, 320, 240, 9.0, ""),
    ]
    return pd.DataFrame(rows, columns=["action", "group", "split", "fps", "width", "height", "duration_s", "error"])


def test_actions_are_described_by_their_readable_clips(index: pd.DataFrame) -> None:
    table = by_action(index).set_index("action")
    wave, clap = table.loc["Wave"], table.loc["Clap"]
    assert (wave["clips"], wave["groups"], wave["train"], wave["val"], wave["test"]) == (3, 2, 2, 0, 1)
    assert (wave["seconds"], wave["shortest_s"], wave["median_s"], wave["longest_s"]) == (9, 2, 3, 4)
    assert (wave["frame_rates"], wave["sizes"]) == ("25.0, 30.0", "320x240, 160x120")
    assert (clap["clips"], clap["shortest_s"]) == (2, 1)


def test_groups_are_described_with_their_split(index: pd.DataFrame) -> None:
    table = by_group(index).set_index("group")
    assert table.loc["g1"].to_dict() == {"split": "train", "Clap": 1, "Wave": 2}
    assert table.loc["g2"].to_dict() == {"split": "test+val", "Clap": 1, "Wave": 1}
    assert "g3" not in table.index


def test_many_sizes_are_shortened(index: pd.DataFrame) -> None:
    many = pd.concat([index.iloc[[0]].assign(width=width) for width in (320, 320, 100, 200, 300, 400)])
    assert by_action(many)["sizes"].item().startswith("320x240, ")
    assert by_action(many)["sizes"].item().endswith(" and 2 more")
