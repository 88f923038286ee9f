import numpy as np
import pytest
from sklearn.linear_model import Ridge

from actreel.training.ridge import SHARPNESS, VARIANCE_FLOOR, RidgeSolutions


@pytest.mark.parametrize("size", [5, 40])
def test_the_scores_are_those_of_weighted_ridge_regression(size: int) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 20)
    features = (rng.normal(3, 2, (20, size)) + targets[:, None]).astype(np.float32)
    weights = np.array([0.5, 1, 2], np.float32)[targets]
    solutions = RidgeSolutions(features, targets, weights, 4)
    known = solutions.standardised(features)
    np.testing.assert_allclose(
        known, (features - features.mean(0)) / np.sqrt(features.var(0) + VARIANCE_FLOOR), atol=1e-5
    )
    share = weights / weights.sum()
    total = float((share[:, None] * (known - share @ known) ** 2).sum())
    for penalty, (kernel, bias) in zip((1.0, 0.01), solutions.solve((1.0, 0.01)), strict=True):
        expected = Ridge(alpha=penalty * total).fit(known, np.eye(4)[targets], sample_weight=share)
        np.testing.assert_allclose(kernel / SHARPNESS, expected.coef_.T, atol=1e-5)
        np.testing.assert_allclose(bias / SHARPNESS, expected.intercept_, atol=1e-5)
        logits = known @ kernel + bias
        np.testing.assert_allclose(logits.sum(axis=1), SHARPNESS, atol=1e-4)
        assert (logits[:, 3] == 0).all(), "an action without clips"
        errors = ((expected.predict(known) - np.eye(4)[targets]) ** 2).sum(axis=1)
        np.testing.assert_allclose(solutions.losses(logits, targets), errors, atol=1e-4)


def test_features_that_never_vary_count_for_nothing() -> None:
    solutions = RidgeSolutions(np.ones((4, 2), np.float32), np.array([0, 1, 0, 0]), np.ones(4, np.float32), 2)
    kernel, bias = next(solutions.solve([1.0]))
    np.testing.assert_array_equal(kernel, 0)
    np.testing.assert_allclose(bias / SHARPNESS, [0.75, 0.25])
