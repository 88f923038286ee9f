import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from actreel.training.lda import LdaSolutions
from actreel.training.ridge import SHARPNESS


@pytest.mark.parametrize("size", [5, 60])
@pytest.mark.parametrize("shrinkage", [1.0, 0.3, 1e-3])
def test_the_discriminants_are_those_of_scikit_learn(size: int, shrinkage: float) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 24)
    features = (rng.normal(3, 2, (24, size)) + rng.normal(0, 2, (3, size))[targets]).astype(np.float32)
    balance = np.array([0.5, 1, 2])
    solutions = LdaSolutions(features, targets, balance[targets].astype(np.float32), 4)
    exact = features.astype(np.float64)
    known = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-6)
    priors = balance * np.bincount(targets)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=priors / priors.sum())
    theirs.fit(known, targets)
    kernel, bias = next(solutions.discriminants([shrinkage]))
    np.testing.assert_allclose(kernel, theirs.coef_.T, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bias, theirs.intercept_, rtol=1e-6, atol=1e-6)

    # As a probe: the same answers, as scores whose distance from the targets no other scale would lower.
    kernel, bias = next(solutions.solve([shrinkage]))
    logits = solutions.standardised(features) @ kernel + bias
    np.testing.assert_array_equal(logits.argmax(axis=1), theirs.predict(known))
    assert (logits[:, 3] == 0).all(), "an action without clips"
    plain = theirs.decision_function(known)
    plain -= plain.mean(axis=1, keepdims=True)
    wanted = np.eye(3)[targets] - 1 / 3
    share = balance[targets][:, None] / balance[targets].sum()
    scale = (share * plain * wanted).sum() / (share * plain**2).sum()
    np.testing.assert_allclose(logits[:, :3] / SHARPNESS, scale * plain + 1 / 3, atol=1e-5)


def test_clips_that_are_all_alike_leave_the_shares_of_the_actions() -> None:
    solutions = LdaSolutions(np.ones((4, 2), np.float32), np.array([0, 1, 0, 0]), np.ones(4, np.float32), 2)
    kernel, bias = next(solutions.solve([0.5]))
    np.testing.assert_array_equal(kernel, 0)
    assert bias[0] > bias[1] > 0


def test_one_clip_of_each_action_is_answered_by_the_nearest_one() -> None:
    solutions = LdaSolutions(np.array([[0, 0], [4, 0], [0, 4]], np.float32), np.arange(3), np.ones(3, np.float32), 3)
    for kernel, bias in solutions.solve(LdaSolutions.PATH):
        some = solutions.standardised(np.array([[0, 1], [3, 0], [0, 3]], np.float32))
        np.testing.assert_array_equal((some @ kernel + bias).argmax(axis=1), np.arange(3))
