from pathlib import Path

import pytest

from actreel.dataset.layout import action_of, find_split, has_action, split_folders


def folders(*names: str) -> dict[str, str]:
    return split_folders(Path(name) for name in names)


@pytest.mark.parametrize(
    ("tops", "splits"),
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("Train", "Test"), ("train", "test")),
        (("training", "validation", "testing"), ("train", "val", "test")),
        (("TRAIN", "valid"), ("train", "val")),
        (("train", "dev", "test"), ("train", "val", "test")),
        (("train", "train ", "test"), ("train", "train", "test")),
    ],
)
def test_a_folder_that_came_split_is_recognised(tops: tuple[str, ...], splits: tuple[str, ...]) -> None:
    assert folders(*(f"{top}/Wave/a.avi" for top in tops), "_unknown/b.avi") == dict(zip(tops, splits, strict=True))


@pytest.mark.parametrize(
    "tops", [("train",), ("val", "test"), ("train", "test", "Wave"), ("Wave", "Clap"), ("test", "dev")]
)
def test_other_folders_are_actions(tops: tuple[str, ...]) -> None:
    assert folders(*(f"{top}/Wave/a.avi" for top in tops)) == {}


def test_the_action_lies_below_the_split() -> None:
    split = folders("train/Wave/day 1/a.avi", "test/b.avi")
    assert action_of(Path("train/Wave/day 1/a.avi"), split) == "Wave"
    assert action_of(Path("_unknown/c.avi"), split) == "_unknown"
    assert action_of(Path("Wave/a.avi"), {}) == "Wave"
    assert [has_action(Path(name), split) for name in ("train/Wave/a.avi", "test/b.avi", "_unknown/c.avi")] == [
        True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("wrapper", ["", "archive", "archive/videos"])
def test_the_folder_that_is_split_is_found_below_others(wrapper: str) -> None:
    clips = [Path(wrapper, name) for name in ("train/Wave/a.avi", "test/Wave/b.avi")]
    assert find_split(clips) == (Path(wrapper), {"train": "train", "test": "test"})
    assert find_split([Path(wrapper, "Wave/a.avi"), Path(wrapper, "Clap/b.avi")]) == (Path(), {})
    assert find_split([Path(wrapper, "Wave/a.avi")]) == (Path(), {})
