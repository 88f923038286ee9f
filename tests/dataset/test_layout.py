from pathlib import Path

import pytest

from actreel.dataset.layout import action_of, find_split, has_action, split_folders, split_of
from actreel.errors import DatasetError


def folders(*names: str) -> dict[str, str]:
    return split_folders([Path(name) for name in names])


@pytest.mark.parametrize(
    ("tops", "splits"),
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("Train", "Test"), ("train", "test")),
        (("training", "validation", "testing"), ("train", "val", "test")),
        (("TRAIN", "valid"), ("train", "val")),
        (("train", "dev", "test"), ("train", "val", "test")),
        (("train", "train ", "test"), ("train", "train", "test")),
        (("training_set", "test_set"), ("train", "test")),
        (("TrainSet", "Eval", "videos-test"), ("train", "val", "test")),
        (("Train Data", "valid_data", "Testing Videos"), ("train", "val", "test")),
        (("seg_train", "seg_test"), ("train", "test")),
    ],
)
def test_a_folder_that_came_split_is_recognised(tops: tuple[str, ...], splits: tuple[str, ...]) -> None:
    assert folders(*(f"{top}/Wave/a.avi" for top in tops), "_unknown/b.avi") == dict(zip(tops, splits, strict=True))


@pytest.mark.parametrize(
    "tops",
    [
        ("train",),
        ("val", "test"),
        ("train", "test", "Wave"),
        ("Wave", "Clap"),
        ("test", "dev"),
        ("train", "test drive"),
    ],
)
def test_other_folders_are_actions(tops: tuple[str, ...]) -> None:
    assert folders(*(f"{top}/Wave/a.avi" for top in tops)) == {}


@pytest.mark.parametrize(
    ("inside", "depth"),
    [
        (("{}/Wave", "{}/Clap"), 2),  # of `seg_train` in `seg_train`
        (("videos/Wave/day 1", "videos/Clap"), 2),
        (("Wave", "Clap"), 1),
        (("Wave/videos", "Clap/videos"), 1),
        (("Wave/day 1", "Wave/day 2"), 1),  # one action, which the index refuses
    ],
)
def test_folders_between_a_split_and_its_actions_are_no_actions(inside: tuple[str, ...], depth: int) -> None:
    tops = ("seg_train", "seg_test")
    clips = [Path(top, folder.format(top), "a.avi") for top in tops for folder in inside]
    _, split = find_split([*clips, Path("_unknown/b.avi")])
    assert {len(Path(folder).parts) for folder in split} == {depth}
    assert {action_of(clip, split) for clip in clips} == {Path(folder).parts[depth - 1] for folder in inside}
    assert [split_of(clip, split) for clip in clips] == ["train", "train", "test", "test"]
    assert all(has_action(clip, split) for clip in clips)
    assert action_of(Path("_unknown/b.avi"), split) == "_unknown"
    assert split_of(Path("_unknown/b.avi"), split) == ""


def test_other_folders_beside_those_of_a_split_are_refused() -> None:
    """All of them would be learned as actions named train, test and more."""
    clips = [Path("data", name) for name in ("train/Wave/a.avi", "test/Wave/b.avi", "more/Wave/c.avi", "old/d.avi")]
    with pytest.raises(DatasetError, match=r"'train' and 'test' with.*in 'data': 'more', 'old'\. Move"):
        find_split(clips)
    assert find_split([Path(name) for name in ("train/a.avi", "test/b.avi", "Wave/c.avi")]) == (Path(), {})
    assert find_split([Path(name) for name in ("train/ann/a.avi", "test/bob/b.avi", "Wave/c.avi")]) == (Path(), {})


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
