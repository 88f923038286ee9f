import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from actreel.training.logistic import VARIANCE_FLOOR, Solutions

PATH = (0.001, 0.1, 10.0)


@pytest.mark.parametrize(("clips", "features", "classes"), [(30, 200, 4), (30, 200, 2), (60, 10, 3), (1200, 40, 3)])
def test_in_the_row_space_the_solution_is_that_of_all_features(clips: int, features: int, classes: int) -> None:
    rng = np.random.default_rng(clips)
    targets = np.arange(clips) % classes
    known = (rng.normal(0, 1, (classes, features))[targets] + rng.normal(0, 2, (clips, features))).astype(np.float32)
    others = rng.normal(0, 2, (50, features)).astype(np.float32)
    weights = rng.uniform(0.5, 2, clips).astype(np.float32)
    solutions = Solutions(known, targets, weights, classes)
    whole, new = solutions.standardised(known).astype(np.float64), solutions.standardised(others)
    for strength, (kernel, bias) in zip(PATH, solutions.solve(PATH), strict=True):
        expected = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(whole, targets, sample_weight=weights)
        logits = new @ kernel + bias
        answers = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers /= answers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(answers, expected.predict_proba(new), atol=2e-3)


def test_many_clips_that_vary_in_few_directions_are_solved() -> None:
    """In single precision, their inner products have negative eigenvalues."""
    rng = np.random.default_rng(0)
    targets = np.arange(1010) % 2
    places = rng.normal(0, 1, (1010, 3)) + 3 * targets[:, np.newaxis]
    known = (places @ rng.normal(0, 1, (3, 1100)) + rng.normal(0, 1e-3, (1010, 1100))).astype(np.float32)
    solutions = Solutions(known, targets, np.ones(1010, np.float32), 2)
    ((kernel, bias),) = solutions.solve([0.01])
    assert ((solutions.standardised(known) @ kernel + bias).argmax(axis=1) == targets).mean() > 0.95


def test_a_class_without_clips_is_never_predicted() -> None:
    known = np.random.default_rng(0).normal(0, 1, (20, 5)).astype(np.float32)
    solutions = Solutions(known, np.arange(20) % 2 * 2, np.ones(20, np.float32), 3)
    ((kernel, bias),) = solutions.solve([1.0])
    assert (solutions.standardised(known) @ kernel + bias)[:, 1].max() < -50


def test_clips_that_are_all_the_same_are_a_toss_up() -> None:
    solutions = Solutions(np.ones((4, 9), np.float32), np.arange(4) % 2, np.ones(4, np.float32), 2)
    ((kernel, bias),) = solutions.solve([1.0])
    np.testing.assert_allclose(solutions.standardised(np.ones((1, 9), np.float32)) @ kernel + bias, 0, atol=1e-6)


def test_features_that_never_change_and_repeated_clips_do_no_harm() -> None:
    known = np.zeros((8, 50), dtype=np.float32)
    known[:, 0] = np.arange(8) % 2
    solutions = Solutions(known, np.arange(8) % 2, np.ones(8, np.float32), 2)
    for kernel, bias in solutions.solve(PATH):
        assert np.isfinite(kernel).all()
        assert np.isfinite(bias).all()
    assert ((solutions.standardised(known) @ kernel + bias).argmax(axis=1) == np.arange(8) % 2).all()


def test_scaled_features_count_more_or_less_and_batch_normalisation_gives_the_same() -> None:
    known = np.random.default_rng(0).normal(3, 2, (12, 4)).astype(np.float32)
    scales = np.array([1, 0.5, 2, 1e-6], np.float32)
    plain, scaled = (Solutions(known, np.arange(12) % 2, np.ones(12, np.float32), 2, each) for each in (1.0, scales))
    np.testing.assert_allclose(scaled.standardised(known), plain.standardised(known) * scales, rtol=1e-4, atol=1e-6)
    through_layer = (known - scaled.mean) / np.sqrt(scaled.variance + VARIANCE_FLOOR)
    np.testing.assert_allclose(through_layer, scaled.standardised(known), rtol=1e-5)
    np.testing.assert_allclose(plain.variance, known.var(axis=0), rtol=1e-6)


@pytest.mark.parametrize(("clips", "features"), [(1300, 1100), (1400, 1000)])
def test_one_array_as_large_as_the_features_is_kept_for_some_of_the_clips(clips: int, features: int) -> None:
    """Those of all folds live at a time; what was standardised before is dropped, and the solutions are the same."""
    rng = np.random.default_rng(0)
    targets = np.arange(clips) % 2
    known = rng.normal(targets[:, np.newaxis], 3, (clips, features)).astype(np.float32)
    some = np.arange(clips) % 5 > 0
    weights = np.ones(some.sum(), np.float32)
    within = Solutions(known, targets[some], weights, 2, 1.0, some)
    alone = Solutions(known[some], targets[some], weights, 2)
    for ours, expected in zip(within.solve([1e-3]), alone.solve([1e-3]), strict=True):
        np.testing.assert_array_equal(ours[0], expected[0])
        np.testing.assert_array_equal(ours[1], expected[1])
    kept = [value for value in vars(within).values() if isinstance(value, np.ndarray) and value is not known]
    assert sum(array.nbytes for array in kept) < 1.1 * 4 * min(some.sum(), features) ** 2
