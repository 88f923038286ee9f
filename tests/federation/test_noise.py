import numpy as np
import pytest

from actreel.federation.noise import sigma_for, with_noise
from actreel.federation.parts import made_up
from actreel.training.folds import Pooled

LABELS = ["Jump", "Run"]


def test_the_noise_is_the_least_that_balle_and_wang_allow() -> None:
    assert sigma_for(1, 1e-5, 1) == pytest.approx(3.7306, abs=1e-3)
    assert sigma_for(1, 1e-5, 2) == pytest.approx(2 * sigma_for(1, 1e-5, 1))
    assert sigma_for(0.1, 1e-6) > sigma_for(1, 1e-6) > sigma_for(500, 1e-6) > 0


def clips_of(group: list[str], features: np.ndarray) -> Pooled:
    number = len(group)
    targets = np.arange(number) % 2
    return Pooled(features, targets, np.zeros(number, int), np.array(group), number, np.ones(2, np.float32))


def test_groups_weigh_the_same_and_long_features_are_cut_down() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (48, 3))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    features[0] *= 1e6
    clips = clips_of([f"g{number // 4}" for number in range(48)], features.astype(np.float32))
    noise, parts = with_noise(clips, LABELS, "s", epsilon=500, delta=0.5, length=2, rng=np.random.default_rng(0))
    assert noise.norm == 2
    assert [(part.group, part.action, part.clips) for part in parts] == [("s", "Jump", 6), ("s", "Run", 6)]
    features[0] /= np.linalg.norm(features[0]) / 2
    for action, part in enumerate(parts):
        own = features[clips.targets == action]
        np.testing.assert_allclose(part.mean, own.mean(axis=0), atol=0.2)
        np.testing.assert_allclose(np.cov(made_up(part).T, bias=True), np.cov(own.T, bias=True), atol=0.3)


def test_noise_is_new_each_time_and_hides_a_group() -> None:
    features = np.random.default_rng(0).normal(0, 1, (8, 3)).astype(np.float32)
    clips = clips_of([f"g{number // 2}" for number in range(8)], features)

    def mean(seed: int) -> np.ndarray:
        _, parts = with_noise(clips, LABELS, "s", epsilon=1, delta=1e-5, length=9, rng=np.random.default_rng(seed))
        return np.stack([part.mean for part in parts])

    assert np.abs(mean(0) - mean(1)).max() > 0.5
    np.testing.assert_array_equal(mean(0), mean(0))
    assert np.linalg.norm(mean(0), axis=1).max() <= 9 + 1e-9
