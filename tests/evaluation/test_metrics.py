import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from actreel.evaluation.metrics import (
    accuracy,
    balanced_accuracy,
    calibration_error,
    chance,
    macro_scores,
    per_class,
)

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]], dtype=np.float32)
TARGETS = np.array([0, 1, 1, 2])


def test_accuracy_by_hand() -> None:
    assert accuracy(PROBABILITIES, TARGETS) == 0.5
    assert accuracy(PROBABILITIES, TARGETS, k=2) == 1.0
    assert accuracy(PROBABILITIES, TARGETS, k=5) == 1.0


def test_chance_is_the_commonest_action_of_training() -> None:
    assert chance(np.array([1, 1, 0]), TARGETS) == 0.5
    assert chance(np.array([2, 2, 0]), TARGETS) == 0.25


def test_macro_scores_by_hand() -> None:
    scores = macro_scores(PROBABILITIES, TARGETS)
    assert scores["macro_precision"] == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert scores["macro_recall"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((0.5 + 2 / 3 + 0) / 3)


def test_the_per_class_table_shows_confusions_and_the_baseline() -> None:
    table = per_class(PROBABILITIES, PROBABILITIES[:, ::-1], TARGETS, ["a", "b", "c"]).set_index("action")
    assert table["clips"].tolist() == [1, 2, 1]
    assert table["recall"].tolist() == [1.0, 0.5, 0.0]
    assert table["most_confused_with"].tolist() == ["", "a", "a"]
    assert table["mean_pool_recall"].tolist() == [0.0, 0.5, 1.0]


def test_balanced_accuracy_counts_every_action_alike() -> None:
    assert balanced_accuracy(["a"] * 9 + ["b"], ["a"] * 10) == 0.5


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    actions, predicted = rng.choice(["a", "b", "c"], (2, 50), p=[0.6, 0.3, 0.1])
    expected = balanced_accuracy_score(actions, predicted)
    assert balanced_accuracy(actions.tolist(), predicted.tolist()) == pytest.approx(expected)


def test_balanced_accuracy_leaves_out_actions_without_a_clip() -> None:
    assert balanced_accuracy(["a", "a", "b"], ["a", "c", "b"]) == 0.75


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10, dtype=np.float32)
    assert calibration_error(probabilities, np.zeros(10, dtype=int)) == pytest.approx(0.1, abs=1e-6)
    assert calibration_error(probabilities, np.array([0] * 9 + [1])) == pytest.approx(0, abs=1e-6)
