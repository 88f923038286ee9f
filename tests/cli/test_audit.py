from pathlib import Path

import pytest

from actreel.cli import main
from actreel.cli.audit import as_text


def test_one_list_alone_is_refused() -> None:
    with pytest.raises(SystemExit, match="--train-list and --test-list belong together"):
        main(["audit", "clips", "--train-list", "a.txt"])


def test_the_conclusion_says_whether_the_gap_may_be_chance() -> None:
    result = {
        "split": "random", "folds": 4, "group_folds": 4, "num_groups": 9, "num_guessed": 3, "test_clips": 20,
        "with_group_in_training": 10, "shared_groups": ["a"], "in_both_lists": [],
        "twins": [{"test_clip": "A/a.avi", "training_clip": "A/b.avi", "kind": "equal content"}] * 12,
        "split_accuracy": 0.97, "split_accuracy_low": 0.9, "split_accuracy_high": 1.0,
        "group_accuracy": 0.81, "group_accuracy_low": 0.7, "group_accuracy_high": 0.9,
        "difference": 0.16, "difference_low": 0.08, "difference_high": 0.24,
    }  # fmt: skip
    text = as_text(result, Path("my clips"))
    assert "97% is 81% under groups: +16 points (95 %: 8 to 24) are leakage" in text
    assert "10 of 20 test clips (50%)" in text
    assert "A/a.avi = A/b.avi (equal content)" in text
    assert "and 2 more" in text
    assert "actreel groups 'my clips'" in text
    assert "which may be chance" in as_text(result | {"difference_low": -0.01}, Path("my clips"))
