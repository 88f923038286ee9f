from pathlib import Path

import pytest

from actreel.dataset.layout import action_of, check_actions, find_split, has_action, split_folders, split_of
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
        (("01-train", "02-val", "03-test"), ("train", "val", "test")),
        (("train01", "Test 02"), ("train", "test")),
        (("train (80%)", "test (20%)"), ("train", "test")),
        (("train1", "train2", "test"), ("train", "train", "test")),
        (("trainval", "test"), ("train", "test")),
        (("train+val", "holdout"), ("train", "test")),
        (("trn", "development", "tst"), ("train", "val", "test")),
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
        ("val-test", "test"),
        ("train", "test_unlabelled"),
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


@pytest.mark.parametrize("wrapper", ["", "data"])
def test_each_action_may_be_split_by_itself(wrapper: str) -> None:
    clips = [Path(wrapper, name) for name in ("Wave/Train/a.avi", "Wave/Test/b.avi", "Clap/Train/day 1/c.avi")]
    above, split = find_split([*clips, Path(wrapper, "_unknown/d.avi")])
    inner = [clip.relative_to(above) for clip in clips]
    assert above == Path(wrapper)
    assert [(action_of(clip, split), split_of(clip, split)) for clip in inner] == [
        ("Wave", "train"), ("Wave", "test"), ("Clap", "train"),
    ]  # fmt: skip
    assert all(has_action(clip, split) for clip in [*inner, Path("_unknown/d.avi")])
    # With other clips in an action, or other folders, its folders may be anything.
    assert find_split([*clips, Path(wrapper, "Clap/e.avi")])[1] == {}
    assert find_split([*clips, Path(wrapper, "Clap/home/e.avi")])[1] == {}


def test_an_action_s_name_has_composed_accents() -> None:
    assert action_of(Path("Cafe\u0301/a.avi"), {}) == action_of(Path("Caf\u00e9/a.avi"), {}) == "Caf\u00e9"


def test_the_folder_that_is_meant_is_named_where_there_is_one_action() -> None:
    clips = [Path(name) for name in ("UCF50/Wave/a.avi", "UCF50/Clap/b.avi", "_unknown/c.avi")]
    with pytest.raises(DatasetError, match=r"'UCF50' in '/x'\. If the .* it, 'Clap', 'Wave', give '/x/UCF50'\.$"):
        check_actions(clips, {}, Path("/x"))
    with pytest.raises(DatasetError, match=r"Received: 'Wave' in '/x'\.$"):
        check_actions([Path("Wave/a.avi")], {}, Path("/x"))
    with pytest.raises(DatasetError, match=r"Received: none in '/x'\.$"):
        check_actions([Path("_unknown/a.avi")], {}, Path("/x"))
    check_actions([Path("a/a.avi"), Path("b/a.avi")], {}, Path("/x"))


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
