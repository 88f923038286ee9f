"""How often the model card's forecast for more groups holds the truth, on simulated curves whose truth is known.

The error is `floor + drop / groups**power`; groups differ in difficulty, and a clip that one solution gets wrong is
mostly wrong in the next. Against a power law without a floor, read off as one number.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from actreel.evaluation.more_groups import MORE, forecast, points_of

CASES = (
    (9, 10, 0.6, 0.7, 0.02, (2, 3, 4, 7)),
    (9, 10, 0.6, 0.7, 0.10, (2, 3, 4, 7)),
    (9, 10, 0.3, 0.3, 0.00, (2, 3, 4, 7)),
    (12, 6, 0.9, 1.2, 0.01, (2, 4, 6, 9)),
    (25, 20, 0.6, 0.5, 0.05, (5, 8, 12, 20)),
    (25, 50, 0.8, 0.8, 0.10, (5, 8, 12, 20)),
    (40, 4, 0.5, 0.5, 0.00, (8, 12, 20, 32)),
)
"""Groups, clips of each, drop, power, floor, and the sizes of the curve."""
SPREAD = 0.8
"""Of the groups' difficulty, in logits."""
SAME = 0.7
"""Share of clips whose answer does not depend on which groups were drawn."""
REPEATS = 3


def simulate(
    groups: int, clips: int, drop: float, power: float, floor: float, sizes: tuple[int, ...], seed: int
) -> tuple[pd.DataFrame, float]:
    """A curve as `group_curve` returns it, and what `MORE` groups would really add."""
    rng = np.random.default_rng(seed)
    spread = rng.normal(0, SPREAD, 20_000)
    hard, fixed = rng.normal(0, SPREAD, (groups, 1)), rng.uniform(size=(groups, clips))
    rows = []
    for size in sizes:
        wrong = np.zeros(groups, int)
        for _ in range(REPEATS):
            drawn = np.where(rng.uniform(size=fixed.shape) < SAME, fixed, rng.uniform(size=fixed.shape))
            wrong += (drawn < expit(logit(floor + drop * size**-power) + hard)).sum(axis=1)
        rows += [(size, float(size), group, clips * REPEATS, clips * REPEATS - wrong[group]) for group in range(groups)]
    errors = [expit(logit(floor + drop * n**-power) + spread).mean() for n in (sizes[-1], sizes[-1] + MORE)]
    return pd.DataFrame(rows, columns=["size", "groups", "group", "clips", "right"]), float(errors[0] - errors[1])


def read_off(curve: pd.DataFrame) -> float:
    """What a straight line through the logarithms gives."""
    points = points_of(curve)
    slope, height = np.polyfit(np.log(points["groups"]), np.log(1 - points["accuracy"] + 1e-3), 1)
    last = points["groups"].iloc[-1]
    return float(np.exp(height) * (last**slope - (last + MORE) ** slope))


def main() -> None:
    """Prints for each case how often there is a forecast, how often it holds the truth, and its points."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{repeats} simulations each; gains in points")
    print("groups clips drop power floor | told  holds  truth  forecast  width | line")
    for case in CASES:
        found = [
            (forecast(curve), truth, read_off(curve)) for curve, truth in (simulate(*case, s) for s in range(repeats))
        ]
        told = [(each, truth, line) for each, truth, line in found if each is not None]
        holds = np.mean([each.low <= truth <= each.high for each, truth, _ in told])
        truth, gain, width, line = 100 * np.mean(
            [(truth, each.gain, each.high - each.low, line) for each, truth, line in told], axis=0
        )
        groups, clips, drop, power, floor, _ = case
        print(
            f"{groups:6} {clips:5} {drop:4} {power:5} {floor:5} | {len(told) / repeats:4.2f} {holds:6.2f} {truth:6.2f} "
            f"{gain:9.2f} {width:6.2f} | {line:4.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
