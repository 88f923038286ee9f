from pathlib import Path

import pandas as pd

from actreel.experiments.leaks import SAME_CONTENT, find_leaks, with_guessed_groups, with_joined_twins
from tests.dataset.grouping.rooms import write_rooms


def test_groups_and_twins_on_both_sides_are_found() -> None:
    clips = pd.DataFrame(
        {
            "clip": list("abcd"),
            "action": "A",
            "group": ["g1", "g1", "g2", "g3"],
            "sha256": ["1", "2", "3", "3"],
            "fingerprint": [f"{row:016x}" * 3 for row in range(4)],
            "error": "",
        }
    )
    leaks = find_leaks(clips, [pd.Series(["train", "test", "val", "test"])])
    assert (leaks.test_clips, leaks.with_group_in_training, leaks.shared_groups) == (2, 1, ["g1"])
    assert [(twin.test_clip, twin.training_clip, twin.kind) for twin in leaks.twins] == [("d", "c", SAME_CONTENT)]
    joined = with_joined_twins(clips)
    assert joined["group"].tolist() == ["g1", "g1", "g2", "g2"]
    assert find_leaks(joined, [pd.Series(["train", "train", "test", "test"])]).twins == []


def test_unknown_groups_are_guessed_and_known_ones_kept(tmp_path: Path) -> None:
    room_of = write_rooms(tmp_path, rooms=4)
    clips = sorted(room_of)
    index = pd.DataFrame({"clip": clips, "group": clips})
    index.loc[0, "group"] = "kitchen"
    guessed, count = with_guessed_groups(index, tmp_path)
    assert count == len(clips) - 1
    kitchen = {clip for clip in clips if room_of[clip] == room_of[clips[0]]}
    assert set(guessed.loc[guessed["group"] == "kitchen", "clip"]) == kitchen
    assert guessed["group"].nunique() == 4
