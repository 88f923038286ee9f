import numpy as np
import pytest

from actreel.evaluation.metrics import (
    accuracy,
    balanced_accuracy,
    calibration_error,
    chance,
    interval_over_groups,
    judge,
    macro_scores,
    per_class,
)

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]], dtype=np.float32)
TARGETS = np.array([0, 1, 1, 2])
SCORES = {"accuracy": 0.9, "chance": 0.5, "mean_pool_accuracy": 0.6}


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


def test_a_first_model_that_beats_chance_and_baseline_is_champion() -> None:
    verdict = judge(SCORES, has_champion=False, champion_accuracy=None, fair_accuracy=None)
    assert verdict.promoted


@pytest.mark.parametrize(
    ("changed", "champion", "rule"),
    [
        ({"accuracy": 0.5}, {}, "beat chance. Received: 0.5000 against 0.5000"),
        ({"mean_pool_accuracy": 0.9}, {}, "beat the order-blind mean-pool baseline"),
        ({}, {"champion_accuracy": 0.9, "fair_accuracy": 0.9}, "same test clips. Received: 0.9000 against 0.9000"),
        ({}, {"champion_accuracy": None, "fair_accuracy": None}, "neither has learned from"),
    ],
)
def test_the_rule_that_stops_a_model_is_named(
    changed: dict[str, float], champion: dict[str, float | None], rule: str
) -> None:
    accuracies: dict[str, float | None] = {"champion_accuracy": 0.1, "fair_accuracy": 0.2, **champion}
    verdict = judge(SCORES | changed, has_champion=True, **accuracies)
    assert not verdict.promoted
    assert rule in verdict.reason


def test_a_tie_with_the_baseline_is_enough_only_where_the_user_says_so() -> None:
    tied = SCORES | {"mean_pool_accuracy": SCORES["accuracy"]}
    refused = judge(tied, has_champion=False, champion_accuracy=None, fair_accuracy=None)
    assert not refused.promoted
    assert "evaluate.may_tie_baseline=true" in refused.reason
    admitted = judge(tied, has_champion=False, champion_accuracy=None, fair_accuracy=None, may_tie_baseline=True)
    assert admitted.promoted
    assert "ties with mean-pool (0.9000)" in admitted.reason
    behind = SCORES | {"mean_pool_accuracy": SCORES["accuracy"] + 0.01}
    worse = judge(behind, has_champion=False, champion_accuracy=None, fair_accuracy=None, may_tie_baseline=True)
    assert not worse.promoted
    assert "may_tie" not in worse.reason


def test_a_better_model_replaces_the_champion() -> None:
    verdict = judge(SCORES, has_champion=True, champion_accuracy=0.8, fair_accuracy=0.85)
    assert verdict.promoted
    assert "0.8500 to 0.8000" in verdict.reason


def test_a_leaky_model_is_never_champion() -> None:
    verdict = judge(SCORES, has_champion=False, champion_accuracy=None, fair_accuracy=None, leaky=True)
    assert not verdict.promoted
    assert "must not cross splits" in verdict.reason


def test_balanced_accuracy_counts_every_action_alike() -> None:
    assert balanced_accuracy(["a"] * 9 + ["b"], ["a"] * 10) == 0.5


def test_the_interval_is_wider_where_the_clips_of_a_group_stand_or_fall_together() -> None:
    right = np.array([True] * 30 + [False] * 10)
    groups = np.array([f"g{number // 10}" for number in range(40)])
    low, high = interval_over_groups(right, groups)
    assert low < 0.5
    assert high == 1.0
    alone_low, alone_high = interval_over_groups(right, np.arange(40).astype(str))
    assert alone_high - alone_low < high - low
    assert alone_low < 0.75 < alone_high


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10, dtype=np.float32)
    assert calibration_error(probabilities, np.zeros(10, dtype=int)) == pytest.approx(0.1, abs=1e-6)
    assert calibration_error(probabilities, np.array([0] * 9 + [1])) == pytest.approx(0, abs=1e-6)
