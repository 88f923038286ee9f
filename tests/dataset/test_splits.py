import logging
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actreel.config import SplitParams
from actreel.dataset.layout import SPLITS
from actreel.dataset.splits import assign_splits
from actreel.errors import DatasetError


def split_params(
    seed: int = 0, val: float = 0.15, test: float = 0.25, protocol: str = "group_holdout", **changes: object
) -> SplitParams:
    values = {"protocol": protocol, "val": val, "test": test, "seed": seed, "folds": 5, "fold": 0}
    return SplitParams.model_validate(values | {"train_list": None, "test_list": None} | changes)


def make_index(groups_of_action: dict[str, list[str]], clips: int = 3) -> pd.DataFrame:
    rows = [
        {"clip": f"{action}/{group}_{clip}.avi", "action": action, "group": group, "error": ""}
        for action, groups in groups_of_action.items()
        for group in groups
        for clip in range(clips)
    ]
    return pd.DataFrame(rows)


def names(count: int) -> list[str]:
    return [f"g{number:02d}" for number in range(1, count + 1)]


@given(
    groups=st.dictionaries(st.sampled_from("ABCDEF"), st.sets(st.integers(1, 12), min_size=3), min_size=2),
    seed=st.integers(0, 99),
    clips=st.integers(1, 4),
)
def test_no_group_crosses_and_every_action_is_everywhere(groups: dict[str, set[int]], seed: int, clips: int) -> None:
    index = make_index({action: [f"g{n}" for n in sorted(numbers)] for action, numbers in groups.items()}, clips)
    try:
        index["split"] = assign_splits(index, split_params(seed))
    except DatasetError as error:
        assert "must be in train, val and test" in str(error)  # noqa: PT017 - shared groups can make it impossible
        return
    assert (index.groupby("group")["split"].nunique() == 1).all()
    assert (index.groupby("action")["split"].nunique() == len(SPLITS)).all()


def test_groups_of_one_action_each_always_work() -> None:
    index = make_index({action: [f"{action}{n}" for n in range(3)] for action in "abcde"}, clips=1)
    index["split"] = assign_splits(index, split_params())
    assert (index.groupby("action")["split"].nunique() == 3).all()


def test_shares_are_met_for_every_action() -> None:
    index = make_index(dict.fromkeys(("a", "b", "c"), names(25)), clips=5)
    index["split"] = assign_splits(index, split_params())
    shares = index.groupby("action")["split"].value_counts(normalize=True).unstack()
    assert shares["test"].between(0.2, 0.3).all()
    assert shares["val"].between(0.1, 0.2).all()


def test_the_seed_determines_the_split() -> None:
    index = make_index(dict.fromkeys(("a", "b"), names(20)))
    first = assign_splits(index, split_params(seed=1))
    pd.testing.assert_series_equal(first, assign_splits(index, split_params(seed=1)))
    assert (first != assign_splits(index, split_params(seed=2))).any()


def test_an_action_with_few_groups_becomes_unknown_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    index = make_index({"a": names(5), "b": names(4), "Diving": ["g01"]})
    with caplog.at_level(logging.WARNING):
        split = assign_splits(index, split_params())
    assert set(split[index["action"] == "Diving"]) == {"_unknown"}
    assert "no known action: 'Diving' in 1" in caplog.text


def test_actions_can_be_excluded_for_the_model_to_reject() -> None:
    index = make_index({"a": names(4), "b": names(4), "c": names(4)})
    split = assign_splits(index, split_params(unknown=("b",)))
    assert set(split[index["action"] == "b"]) == {"_unknown"}
    assert set(split[index["action"] != "b"]) == {"train", "val", "test"}
    with pytest.raises(DatasetError, match=r"must name actions of the dataset. Received: 'd'. It has a, b, c"):
        assign_splits(index, split_params(unknown=("d",)))


def test_too_few_learnable_actions_is_an_error_that_names_them() -> None:
    with pytest.raises(DatasetError, match=r"'Punch' in 1"):
        assign_splits(make_index({"YoYo": names(9), "Punch": ["g01"]}), split_params())


def test_unknown_clips_are_in_no_split() -> None:
    index = make_index({"a": names(4), "b": names(4), "_unknown": names(4)})
    split = assign_splits(index, split_params())
    assert set(split[index["action"] == "_unknown"]) == {"_unknown"}


def test_unreadable_clips_are_in_no_split_and_do_not_count_towards_groups() -> None:
    index = make_index({"a": names(4), "b": names(4), "c": names(3)}, clips=1)
    index.loc[index["clip"] == "c/g03_0.avi", "error"] = "damaged"
    split = assign_splits(index, split_params())
    assert split[index["clip"] == "c/g03_0.avi"].tolist() == ["unreadable"]
    assert set(split[(index["action"] == "c") & (index["error"] == "")]) == {"_unknown"}


@settings(max_examples=30)
@given(folds=st.integers(2, 9), seed=st.integers(0, 9))
def test_folds_test_every_clip_once_and_groups_stay_whole(folds: int, seed: int) -> None:
    index = make_index({"a": names(9), "b": names(7)}, clips=2)
    tested = []
    for fold in range(folds):
        split = assign_splits(index, split_params(seed, protocol="group_kfold", folds=folds, fold=fold))
        assert (split.groupby(index["group"]).nunique() == 1).all()
        assert set(split) == set(SPLITS)
        assert set(index.loc[split == "train", "action"]) == {"a", "b"}
        tested += index.loc[split == "test", "clip"].tolist()
    assert sorted(tested) == sorted(index["clip"])


def test_leave_one_group_out_tests_each_group_alone() -> None:
    index = make_index({"a": names(5), "b": names(4)})
    for fold, group in enumerate(names(5)):
        split = assign_splits(index, split_params(protocol="logo", fold=fold))
        assert set(index.loc[split == "test", "group"]) == {group}


@pytest.mark.parametrize(("protocol", "last"), [("logo", 4), ("group_kfold", 2)])
def test_a_missing_fold_is_refused(protocol: str, last: int) -> None:
    index = make_index({"a": names(5), "b": names(4)})
    with pytest.raises(DatasetError, match=rf"between 0 and {last}\. Received: 5"):
        assign_splits(index, split_params(protocol=protocol, folds=3, fold=5))


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(DatasetError, match="Received: 5 groups for 6 folds"):
        assign_splits(make_index({"a": names(5), "b": names(4)}), split_params(protocol="group_kfold", folds=6))


def test_random_has_the_sizes_of_group_holdout_and_leaks() -> None:
    index = make_index(dict.fromkeys(("a", "b"), names(12)), clips=4)
    honest = assign_splits(index, split_params())
    leaky = assign_splits(index, split_params(protocol="random"))
    for split in (honest, leaky):
        sizes = pd.crosstab(index["action"], split)
        pd.testing.assert_frame_equal(sizes, pd.crosstab(index["action"], honest), check_names=False)
    assert (leaky.groupby(index["group"]).nunique() > 1).any()


def write_list(path: Path, clips: pd.Series) -> str:
    path.write_text("".join(f"{clip}\n" for clip in clips), encoding="utf-8")
    return str(path)


def test_official_lists_define_the_test(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    index = make_index(dict.fromkeys(("a", "b"), names(6)))
    test, train = index["group"].isin(["g01", "g02"]), index["group"].isin(["g03", "g04", "g05"])
    params = split_params(
        protocol="lists",
        train_list=write_list(tmp_path / "trainlist01.txt", index.loc[train, "clip"]),
        test_list=write_list(tmp_path / "testlist01.txt", index.loc[test, "clip"]),
    )
    split = assign_splits(index, params)
    assert (split[test] == "test").all()
    assert set(split[train]) == {"train", "val"}
    assert (split.groupby(index["group"]).nunique() == 1).all()
    assert set(split[~test & ~train]) == {"left_out"}
    assert "6 clips are in neither list" in caplog.text


def test_a_list_may_spell_accents_otherwise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    index = make_index(dict.fromkeys(("Cafe\u0301", "b"), names(6)))
    composed = index["clip"].str.normalize("NFC")
    lists = {
        f"{name}_list": write_list(tmp_path / name, composed[rows::2]) for rows, name in enumerate(("train", "test"))
    }
    split = assign_splits(index.assign(group=index["clip"]), split_params(protocol="lists", **lists))
    assert split.groupby(index["action"]).nunique().tolist() == [3, 3]
    assert not caplog.text


def test_a_list_of_other_clips_is_refused(tmp_path: Path) -> None:
    index = make_index(dict.fromkeys(("a", "b"), names(6)))
    other = write_list(tmp_path / "list.txt", pd.Series(["c/other.avi"]))
    with pytest.raises(DatasetError, match=r"split\.train_list must name clips of the dataset"):
        assign_splits(index, split_params(protocol="lists", train_list=other, test_list=other))


def came_split(splits: dict[str, list[str]]) -> pd.DataFrame:
    """An index of two actions whose groups came in these folders."""
    index = make_index({key: [group for groups in splits.values() for group in groups] for key in "ab"})
    folder_of = {group: split for split, groups in splits.items() for group in groups}
    return index.assign(folder_split=index["group"].map(folder_of))


def test_the_split_of_the_folders_is_used() -> None:
    index = came_split({"train": ["g1", "g2"], "val": ["g3"], "test": ["g4", "g5"]})
    assert assign_splits(index, split_params()).tolist() == index["folder_split"].tolist()


def test_without_a_folder_to_validate_on_groups_of_the_training_do() -> None:
    index = came_split({"train": names(8), "test": ["g91", "g92"]})
    split = assign_splits(index, split_params())
    assert ((split == "test") == (index["folder_split"] == "test")).all()
    assert set(split) == set(SPLITS)
    assert (split.groupby(index["group"]).nunique() == 1).all()


def test_without_a_folder_for_the_test_the_one_for_validation_is_tested_on(caplog: pytest.LogCaptureFixture) -> None:
    index = came_split({"train": names(8), "val": ["g91", "g92"]})
    split = assign_splits(index, split_params())
    assert ((split == "test") == (index["folder_split"] == "val")).all()
    assert (split == "val").any()
    assert "the one for validation is tested on" in caplog.text


def test_a_group_in_two_folders_is_refused_with_the_way_on() -> None:
    index = came_split({"train": names(4), "val": ["g05"], "test": ["g06"]})
    index.loc[index["clip"] == "b/g02_1.avi", "folder_split"] = "test"
    with pytest.raises(
        DatasetError, match=r"1 groups in several, first 'g02' in train and test.*-S split\.protocol=group_"
    ):
        assign_splits(index, split_params())
    assert set(assign_splits(index, split_params(protocol="group_kfold"))) == set(SPLITS)
