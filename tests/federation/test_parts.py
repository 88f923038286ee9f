import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.federation.parts import Part, features_of, made_up, summarise
from actreel.training.folds import Pooled
from actreel.training.lda import LdaSolutions
from actreel.training.ridge import RidgeSolutions, SumSolutions

LABELS = ["Jump", "Run"]


def pooled(counts: list[int], size: int) -> Pooled:
    """So many clips of each pair of group and action; the last four are mirrored views."""
    rng = np.random.default_rng(1)
    number = sum(counts) + 4
    pair = np.r_[np.repeat(np.arange(len(counts)), counts), 0, 0, 0, 1]
    features = rng.normal(5, 2, (number, size)).astype(np.float32)
    features[:, 0] = 7  # a unit that has died
    weights = np.ones(2, np.float32)
    group = np.array([f"g{index // 2}" for index in pair])
    return Pooled(features, pair % 2, np.zeros(number, int), group, number - 4, weights, RidgeSolutions)


@pytest.mark.parametrize("size", [4, 30])
@pytest.mark.parametrize("solver", [RidgeSolutions, LdaSolutions])
def test_made_up_clips_have_the_moments_of_the_clips_and_give_the_same_solution(
    solver: type[SumSolutions], size: int
) -> None:
    clips = pooled([1, 2, 9, 7], size)
    parts = summarise(clips, LABELS)
    assert [(part.group, part.action, part.mirrored, part.clips) for part in parts] == [
        ("g0", "Jump", False, 1), ("g0", "Run", False, 2), ("g1", "Jump", False, 9), ("g1", "Run", False, 7),
        ("g0", "Jump", True, 3), ("g0", "Run", True, 1),
    ]  # fmt: skip
    rows = np.split(clips.features.astype(np.float64), np.cumsum([1, 2, 9, 7, 3]))
    for part, own in zip(parts, rows, strict=True):
        other = made_up(part)
        np.testing.assert_allclose(other.mean(axis=0), own.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(other.T @ other, own.T @ own, atol=1e-9)
    targets = np.repeat([LABELS.index(part.action) for part in parts], [part.clips for part in parts])
    ours = solver(features_of(parts), targets, clips.weights[targets], 2)
    theirs = solver(clips.features, clips.targets, clips.weights[clips.targets], 2)
    for (kernel, bias), (expected, expected_bias) in zip(ours.solve((1, 1e-3)), theirs.solve((1, 1e-3)), strict=True):
        np.testing.assert_allclose(kernel, expected, atol=1e-6)
        np.testing.assert_allclose(bias, expected_bias, atol=1e-6)


def test_of_one_or_two_clips_the_clips_themselves_are_made_up() -> None:
    clips = pooled([1, 2], 6)
    one, two, *_ = summarise(clips, LABELS)
    np.testing.assert_allclose(made_up(one), clips.features[:1])
    np.testing.assert_allclose(in_order(made_up(two)), in_order(clips.features[1:3]), atol=1e-6)


def in_order(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows[np.argsort(rows[:, 1])]


def test_the_sums_do_not_tell_the_order_of_the_clips() -> None:
    clips = pooled([5], 8)
    (part,) = (each for each in summarise(clips, LABELS) if each.clips == 5)
    turned = Pooled(
        clips.features[[4, 2, 0, 1, 3]], np.zeros(5, int), np.zeros(5, int), np.array(["g0"] * 5), 5, clips.weights
    )
    (same,) = summarise(turned, LABELS)
    np.testing.assert_allclose(same.factor, part.factor, atol=1e-9)


def test_copies_of_one_clip_have_no_scatter() -> None:
    part = Part("g", "Run", False, 3, np.ones(4), np.zeros((2, 4)))
    np.testing.assert_allclose(made_up(part), np.ones((3, 4)))
