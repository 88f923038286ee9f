"""Two models on the same clips: how much better one of them is, and whether the difference can be chance."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from actreel.evaluation.intervals import interval_over_groups


@dataclass(frozen=True)
class Paired:
    """Two models on the same clips.

    Attributes:
        clips: How many clips.
        groups: Groups of these clips.
        first_accuracy: Of the first model on these clips.
        second_accuracy: Of the second model on these clips.
        difference: Second minus first.
        low: Lower bound of its 95 % interval for new groups.
        high: Upper bound.
        only_first_right: Clips that only the first model classifies correctly.
        only_second_right: Clips that only the second model classifies correctly.
        p_value: McNemar's exact test, two-sided: the probability of two counts at least this uneven if the models were
            equally good and the clips independent.
    """

    clips: int
    groups: int
    first_accuracy: float
    second_accuracy: float
    difference: float
    low: float
    high: float
    only_first_right: int
    only_second_right: int
    p_value: float


def compare_pair(first: NDArray[np.bool_], second: NDArray[np.bool_], groups: Collection[str]) -> Paired:
    """Compares two models on the clips that both have classified.

    Args:
        first: bool (N,), which clips the first model classifies correctly; N >= 1.
        second: bool (N,), the same of the second.
        groups: str (N,), each clip's group.
    """
    gain = second.astype(int) - first
    low, high = interval_over_groups(gain, groups, levels=(-1, 0, 1))
    only_first, only_second = int((gain < 0).sum()), int((gain > 0).sum())
    disagreed = only_first + only_second
    return Paired(
        clips=len(gain),
        groups=len(set(groups)),
        first_accuracy=float(first.mean()),
        second_accuracy=float(second.mean()),
        difference=float(gain.mean()),
        low=low,
        high=high,
        only_first_right=only_first,
        only_second_right=only_second,
        # The binomial test's: the chances of both sides are even, so that the tails are alike.
        p_value=min(1.0, 2 * float(bdtr(min(only_first, only_second), disagreed, 0.5))),
    )


def order_sentence(metrics: Mapping[str, Any]) -> str:
    """What the order of frames adds on the test clips, in one sentence.

    Args:
        metrics: `mean_pool_accuracy`, and `order_gain`, `order_gain_low` and `order_gain_high` if they were measured.
    """
    if "order_gain" not in metrics:
        return "This network ignores the order of frames, so what the order would add was not measured."
    gain, low, high = (metrics[f"order_gain{end}"] for end in ("", "_low", "_high"))
    without = metrics["mean_pool_accuracy"]
    range_ = f"95 %: {round(100 * low)} to {round(100 * high)}"
    both = f"{percent(without + gain)} of the test clips are right with it, {percent(without)} without"
    if low > 0:
        return f"The order of frames adds {points(gain)} ({range_}): {both}."
    if high < 0:
        return f"The order of frames costs {points(-gain)} ({range_}): {both}."
    found = f"{round(100 * gain):+d}, {range_}"
    return f"The order of frames adds nothing here that the test clips can show ({found}): {both}."


def points(share: float) -> str:
    """A difference of shares in percentage points, as in `17 points`."""
    number = round(100 * share)
    return f"{number} point{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share, as in `87.5 %`."""
    return f"{100 * share:.1f} %"
