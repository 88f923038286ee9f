import numpy as np
import pandas as pd

from actreel.evaluation.slices import Confusion, accuracy_by_slice, most_confused


def test_slices_by_hand() -> None:
    clips = pd.DataFrame(
        {
            "clip": list("uvwxyz"),
            "duration_s": [1.0, 1.0, 2.0, 2.0, 3.0, 3.0],
            "width": [320, 320, 320, 320, 64, 64],
            "height": [240, 240, 240, 240, 48, 48],
            "group": ["a", "b", "a", "b", "a", "b"],
        }
    )
    table = accuracy_by_slice(clips, np.array([True, True, True, False, False, False]))
    found = {(row.slice, row.value): (row.clips, round(row.accuracy, 4)) for row in table.itertuples()}
    assert found == {
        ("duration", "short, up to 1.7 s"): (2, 1.0),
        ("duration", "medium"): (2, 0.5),
        ("duration", "long, over 2.3 s"): (2, 0.0),
        ("frame_size", "320x240"): (4, 0.75),
        ("frame_size", "64x48"): (2, 0.0),
        ("group", "a"): (3, 0.6667),
        ("group", "b"): (3, 0.3333),
    }
    assert table["accuracy"].is_monotonic_increasing
    rows = table.set_index("value")
    assert rows["groups"].to_dict() == {value: 1 if value in ("a", "b") else 2 for value in rows.index}
    assert (rows["low"] < rows["accuracy"]).sum() == 5 and (rows["accuracy"] < rows["high"]).sum() == 6  # noqa: PT018
    # 2 of 2 clips in one slice, 1 group of 3 clips in the other: clips of one group count each.
    assert rows.loc["a", "low"] > 0.2
    assert rows.loc["short, up to 1.7 s", "high"] == 1


def test_clips_of_one_length_are_one_slice() -> None:
    clips = pd.DataFrame({"clip": list("xyz"), "duration_s": [2.0] * 3, "width": 8, "height": 8, "group": "a"})
    table = accuracy_by_slice(clips, np.array([True, True, False]))
    assert table["clips"].tolist() == [3, 3, 3]


# Two clips of a taken for b (the second the surer), one of c for b, one of b for a; b is right twice, a never.
TARGETS = np.array([0, 0, 2, 1, 1, 1, 2])
PROBABILITIES = np.array(
    [[0.4, 0.6, 0], [0.1, 0.9, 0], [0, 0.8, 0.2], [0.7, 0.3, 0], [0.4, 0.6, 0], [0.1, 0.9, 0], [0, 0, 1]],
    dtype=np.float32,
)


def test_the_commonest_confusion_comes_first_with_its_surest_clips() -> None:
    pairs = list(most_confused(PROBABILITIES, TARGETS, ["a", "b", "c"]))
    assert pairs[0] == Confusion("a", "b", count=2, clips=2, wrong=1, right=5)
    assert {(pair.actual, pair.predicted, pair.right) for pair in pairs[1:]} == {("c", "b", 5), ("b", "a", None)}
    assert len(list(most_confused(PROBABILITIES, TARGETS, ["a", "b", "c"], limit=2))) == 2


def test_nothing_confused_is_no_pair() -> None:
    assert list(most_confused(np.eye(3, dtype=np.float32), np.arange(3), ["a", "b", "c"])) == []
