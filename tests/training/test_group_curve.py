import numpy as np
import pytest

from actreel.training import group_curve as module
from actreel.training.folds import Pooled
from actreel.training.group_curve import COLUMNS, group_curve


def clips_of(num_groups: int, *, actions: int = 3, per_group: int = 2, nested: bool = False, seed: int = 0) -> Pooled:
    """Clips of actions that differ in one direction each, in groups that lie apart: more groups tell more."""
    rng = np.random.default_rng(seed)
    rows = [(action, group) for group in range(num_groups) for action in range(actions) for _ in range(per_group)]
    targets, groups = (np.array(column) for column in zip(*rows, strict=True))
    names = np.array([f"{group}-{action}" if nested else str(group) for action, group in rows])
    apart = rng.normal(0, 1.5, (num_groups, 20))
    features = rng.normal(0, 1, (len(rows), 20)) + apart[groups] + 3 * np.eye(actions, 20)[targets]
    weights = np.ones(actions, np.float32)
    return Pooled(features.astype(np.float32), targets, groups % 5, names, len(rows), weights)


def test_the_accuracy_on_held_out_groups_grows_with_the_number_of_groups() -> None:
    clips = clips_of(20)
    curve = group_curve(clips, 0.1, seed=0)
    assert curve.columns.tolist() == COLUMNS
    assert sorted(set(curve["size"])) == [4, 6, 10, 16]
    assert (curve["groups"] == curve["size"]).all()
    assert set(curve["group"]) == set(clips.group)
    sums = curve.groupby("size")[["clips", "right"]].sum()
    assert (sums["clips"] == module.REPEATS * clips.num_clips).all()
    accuracy = (sums["right"] / sums["clips"]).to_numpy()
    assert accuracy[-1] > accuracy[0] + 0.1
    assert accuracy[-1] > 0.8
    assert group_curve(clips, 0.1, seed=0).equals(curve)


def test_no_clip_of_a_held_out_group_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clips_of(10)
    solved: list[set[str]] = []
    before = Pooled.solutions

    def solutions(self: Pooled, views: np.ndarray) -> object:
        solved.append(set(self.group[views]))
        return before(self, views)

    monkeypatch.setattr(Pooled, "solutions", solutions)
    group_curve(clips, 0.1, seed=0)
    folds = {fold: set(clips.group[clips.fold == fold]) for fold in range(5)}
    assert len(solved) == 5 * module.REPEATS * module.NUM_SIZES
    for groups in solved:
        assert any(groups.isdisjoint(held_out) for held_out in folds.values())
    assert {len(groups) for groups in solved} == {2, 3, 5, 8}, "groups that show all actions are taken whole"


def test_groups_that_show_one_action_are_counted_by_action() -> None:
    curve = group_curve(clips_of(10, nested=True), 0.1, seed=0)
    assert sorted(set(curve["size"])) == [2, 3, 5, 8]
    assert (curve["groups"] == curve["size"]).all()


def test_an_action_with_fewer_groups_gives_all_it_has() -> None:
    clips = clips_of(10)
    rare = (clips.targets == 0) & (clips.group.astype(int) > 2)
    kept = Pooled(
        clips.features[~rare], clips.targets[~rare], clips.fold[~rare], clips.group[~rare], (~rare).sum(), clips.weights
    )
    curve = group_curve(kept, 0.1, seed=0)
    largest = curve[curve["size"] == 8]["groups"]
    assert ((largest > 5) & (largest < 8)).all()


def test_many_clips_are_solved_for_fewer_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clips_of(10)
    monkeypatch.setattr(module, "MOST_CLIPS", 2 * clips.num_clips)
    curve = group_curve(clips, 0.1, seed=0)
    assert curve.groupby("size")["clips"].sum().tolist() == [2 * clips.num_clips // 5] * 4
    monkeypatch.setattr(module, "MOST_CLIPS", 1)
    assert curve.groupby("size")["clips"].sum().gt(group_curve(clips, 0.1, seed=0).groupby("size")["clips"].sum()).all()


def test_with_too_few_groups_there_is_no_curve() -> None:
    curve = group_curve(clips_of(3), 0.1, seed=0)
    assert curve.empty
    assert curve.columns.tolist() == COLUMNS


def test_mirrored_views_follow_their_group() -> None:
    clips = clips_of(10)
    both = Pooled(
        np.concatenate([clips.features, clips.features]), np.tile(clips.targets, 2), np.tile(clips.fold, 2),
        np.tile(clips.group, 2), clips.num_clips, clips.weights,
    )  # fmt: skip
    curve = group_curve(both, 0.1, seed=0)
    assert curve.groupby("size")["clips"].sum().tolist() == [module.REPEATS * clips.num_clips] * 4
