"""What more groups would bring: the learning curve over groups, and its continuation as far as the clips bear it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MORE = 4
"""Groups of each action to add."""
FEWEST_GROUPS = 6
"""With fewer held-out groups, their spread is not known well enough for an interval."""
DRAWS = 4000


@dataclass(frozen=True)
class Forecast:
    """What `MORE` groups of each action would add to the accuracy on new groups: a share, with its 95 % interval."""

    gain: float
    low: float
    high: float


def points_of(curve: pd.DataFrame) -> pd.DataFrame:
    """One row for each size: `groups` of an action, the mean, and the `accuracy` on held-out groups.

    Args:
        curve: As returned by `group_curve`.
    """
    sums = curve.groupby("size").agg(groups=("groups", "mean"), clips=("clips", "sum"), right=("right", "sum"))
    return pd.DataFrame({"groups": sums["groups"], "accuracy": sums["right"] / sums["clips"]}).reset_index(drop=True)


def forecast(curve: pd.DataFrame, seed: int = 0) -> Forecast | None:
    """Continues the curve by a power law, the error falling towards a floor.

    Learning curves are such over wide ranges (Hestness et al., "Deep learning scaling is predictable, empirically",
    2017), but the floor cannot be read from four points: it lies anywhere from no error at all, which gives the upper
    bound, to the lowest error measured. The spread of the groups comes from a bootstrap over the held-out ones.

    Args:
        curve: As returned by `group_curve`.
        seed: Of the draws.

    Returns:
        None if the clips bear no forecast: there are fewer than three sizes or six held-out groups, or the error does
        not clearly fall.
    """
    if curve["size"].nunique() < 3 or curve["group"].nunique() < FEWEST_GROUPS:
        return None
    clips, right = (
        curve.pivot_table(index="group", columns="size", values=name, aggfunc="sum", fill_value=0).to_numpy(float)
        for name in ("clips", "right")
    )
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=DRAWS)
    scored = times @ clips
    errors = (times @ (clips - right) + 0.5) / (scored + 1)  # (DRAWS, sizes); never 0, which no power law reaches
    if np.quantile(errors[:, 0] - errors[:, -1], 0.025) <= 0:
        return None
    groups = points_of(curve)["groups"].to_numpy()
    share = rng.uniform(0, 1, (DRAWS, 1))
    with_floor, without = (_gain(errors, groups, floor * errors.min(axis=1, keepdims=True)) for floor in (share, 0.0))
    low, middle = np.quantile(with_floor, [0.025, 0.5])
    return Forecast(float(middle), float(low), float(np.quantile(without, 0.975)))


def _gain(
    errors: NDArray[np.float64], groups: NDArray[np.float64], floor: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """By how much `MORE` groups lower each row's error, which is a straight line in logarithms above its floor."""
    place = np.log(groups / groups[-1])
    height = np.log(errors - floor)
    slope = (height * (place - place.mean())).sum(axis=1) / ((place - place.mean()) ** 2).sum()
    now = np.exp(height.mean(axis=1) - slope * place.mean())  # above the floor, at the largest size
    return np.asarray(now * (1 - ((groups[-1] + MORE) / groups[-1]) ** slope))


def in_words(curve: pd.DataFrame) -> str:
    """What the curve says of more groups, for the model card."""
    found = forecast(curve)
    if found is None:
        return (
            "What more groups would bring cannot be told from these clips: there are too few groups, or the accuracy "
            "does not clearly grow with them."
        )
    groups = points_of(curve)["groups"].iloc[-1]
    return (
        f"{MORE} more groups of each action, {groups + MORE:.0f} instead of {groups:.0f}, would add about "
        f"{100 * found.gain:.1f} points (95 %: {100 * found.low:.1f} to {100 * found.high:.1f}), if the error goes on "
        "falling by a power law, down to a floor that these clips do not tell."
    )
