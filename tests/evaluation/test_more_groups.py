import numpy as np
import pandas as pd
import pytest

from actreel.evaluation.more_groups import MORE, forecast, in_words, points_of

SIZES = (2, 3, 4, 7)


def curve_of(
    groups: int = 30, clips: int = 40, drop: float = 0.6, power: float = 0.7, floor: float = 0.05, seed: int = 0
) -> pd.DataFrame:
    """A curve whose error is `floor + drop / size**power`, in groups that are as hard as one another."""
    rng = np.random.default_rng(seed)
    rows = [
        (size, float(size), f"g{group}", clips, clips - rng.binomial(clips, floor + drop * size**-power))
        for size in SIZES
        for group in range(groups)
    ]
    return pd.DataFrame(rows, columns=["size", "groups", "group", "clips", "right"])


def test_the_forecast_holds_what_the_power_law_gives() -> None:
    for seed, floor in enumerate((0.0, 0.05, 0.15)):
        found = forecast(curve_of(floor=floor, seed=seed))
        assert found is not None
        truth = 0.6 * (7**-0.7 - (7 + MORE) ** -0.7)
        assert found.low < truth < found.high
        assert found.low < found.gain < found.high
        assert found.high - found.low < 0.06


def test_fewer_groups_say_less() -> None:
    def width(groups: int) -> float:
        found = [forecast(curve_of(groups=groups, seed=seed)) for seed in range(5)]
        return sum(each.high - each.low for each in found if each is not None)

    assert width(8) > 1.04 * width(60) > 0


@pytest.mark.parametrize(
    "curve",
    [
        curve_of(groups=5),
        curve_of(drop=0.0, floor=0.3),
        curve_of(drop=0.0, floor=0.0),
        curve_of()[lambda table: table["size"] > 3],
    ],
    ids=["few groups", "no growth", "always right", "two sizes"],
)
def test_where_the_clips_do_not_bear_a_forecast_there_is_none(curve: pd.DataFrame) -> None:
    assert forecast(curve) is None
    assert in_words(curve).startswith("What more groups would bring cannot be told from these clips")


def test_points_are_shares_of_all_clips_that_were_scored() -> None:
    curve = pd.DataFrame(
        {"size": [2, 2, 4, 4], "groups": [2.0, 2.0, 3.5, 3.5], "group": list("abab"), "clips": [10, 30, 10, 30],
         "right": [5, 15, 10, 20]}
    )  # fmt: skip
    assert points_of(curve).to_dict("list") == {"groups": [2.0, 3.5], "accuracy": [0.5, 0.75]}


def test_in_words_are_the_numbers_of_groups_the_gain_and_its_interval() -> None:
    words = in_words(curve_of())
    assert words.startswith("4 more groups of each action, 11 instead of 7, would add about ")
    assert "points (95 %: " in words
