import numpy as np
import pytest

from actreel.evaluation.paired import compare_pair, order_sentence


def test_a_pair_by_hand() -> None:
    first, second = np.array([1, 1, 1, 0, 0, 0], dtype=bool), np.array([1, 1, 0, 1, 1, 0], dtype=bool)
    pair = compare_pair(first, second, ["a", "a", "b", "b", "c", "c"])
    assert (pair.clips, pair.groups, pair.only_first_right, pair.only_second_right) == (6, 3, 1, 2)
    assert (pair.first_accuracy, pair.second_accuracy, pair.difference) == pytest.approx((1 / 2, 2 / 3, 1 / 6))
    assert pair.low < 0 < pair.high
    assert pair.p_value == 1.0
    assert compare_pair(first, first, ["a"] * 6).p_value == 1.0


def order(gain: float, low: float, high: float) -> str:
    return order_sentence(
        {"mean_pool_accuracy": 0.8, "order_gain": gain, "order_gain_low": low, "order_gain_high": high}
    )


def test_what_the_order_of_frames_adds_is_one_sentence() -> None:
    both = "97.0 % of the test clips are right with it, 80.0 % without."
    assert order(0.17, 0.09, 0.24) == f"The order of frames adds 17 points (95 %: 9 to 24): {both}"
    assert order(-0.01, -0.021, -0.004).startswith("The order of frames costs 1 point (95 %: -2 to 0): 79.0 %")
    assert order(0.0, -0.004, 0.003).startswith(
        "The order of frames adds nothing here that the test clips can show (+0, 95 %: 0 to 0): 80.0 %"
    )
    assert "was not measured" in order_sentence({"mean_pool_accuracy": 0.8})
