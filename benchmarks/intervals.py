"""How often 95 % intervals hold the truth, on simulated test clips whose true accuracy is known.

Each group's accuracy is drawn from a beta distribution around the true one, and the outcomes of its clips from that;
`correlation` is that of two clips of a group. Against a bootstrap over groups and Wilson's interval of independent
clips. The second table is of the difference between two models on the same clips, as `actreel compare` prints it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from actreel.evaluation.intervals import interval_over_groups

Interval = tuple[float, float]
ACCURACIES = (0.5, 0.8, 0.95, 0.99)
CORRELATIONS = (0.02, 0.15, 0.5)
SIZES = ((2, 4), (4, 8), (4, 28), (10, 12), (25, 25))
"""Groups, and clips of each."""
DIFFERENCES = ((0.05, 0.05), (0.2, 0.05), (0.01, 0.01), (0.1, 0.0))
"""Shares of clips that only the first model, and only the second, classifies correctly."""


def bootstrap(values: NDArray[np.int64], groups: NDArray[np.int64], repeats: int = 1000) -> Interval:
    """Percentiles of the mean over groups drawn with replacement."""
    sums, sizes = np.bincount(groups, weights=values), np.bincount(groups)
    drawn = np.random.default_rng(0).integers(len(sizes), size=(repeats, len(sizes)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


def wilson(values: NDArray[np.int64], groups: NDArray[np.int64]) -> Interval:
    """Wilson's interval, as if the clips were independent."""
    interval = binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def simulate(
    levels: tuple[int, ...], shares: tuple[float, ...], correlation: float, groups: int, clips: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values int64 (groups x clips,) with these shares on average, and their groups."""
    rng = np.random.default_rng(seed)
    concentrations = np.maximum(shares, 1e-9) * (1 / correlation - 1)
    values = [rng.choice(levels, size=clips, p=rng.dirichlet(concentrations)) for _ in range(groups)]
    return np.concatenate(values), np.repeat(np.arange(groups), clips)


def coverage(
    method: Callable[[NDArray[np.int64], NDArray[np.int64]], Interval],
    levels: tuple[int, ...],
    shares: tuple[float, ...],
    correlation: float,
    size: tuple[int, int],
    repeats: int,
) -> tuple[float, float]:
    """The share of intervals that hold the true mean, and their mean width."""
    truth = float(np.dot(levels, shares))
    found = [method(*simulate(levels, shares, correlation, *size, seed)) for seed in range(repeats)]
    return float(np.mean([low <= truth <= high for low, high in found])), float(
        np.mean([high - low for low, high in found])
    )


def main() -> None:
    """Prints coverage and width by accuracy, correlation, groups and clips."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"accuracy, {repeats} simulations: share of intervals that hold the truth, and mean width")
    print("accuracy correlation groups clips |        ours     bootstrap        Wilson")
    ours = lambda values, groups: interval_over_groups(values, groups, draws=4000)  # noqa: E731
    for accuracy, correlation, size in product(ACCURACIES, CORRELATIONS, SIZES):
        found = [
            coverage(method, (0, 1), (1 - accuracy, accuracy), correlation, size, repeats)
            for method in (ours, bootstrap, wilson)
        ]
        cells = "  ".join(f"{held:5.2f} {width:6.2f}" for held, width in found)
        print(f"{accuracy:8} {correlation:11} {size[0]:6} {size[1]:5} | {cells}", flush=True)

    print("\ndifference between two models: share of intervals that hold the truth, and mean width")
    print("lost gained correlation groups clips |        ours     bootstrap")
    ours = lambda values, groups: interval_over_groups(values, groups, (-1, 0, 1), draws=4000)  # noqa: E731
    for (lost, gained), correlation, size in product(DIFFERENCES, CORRELATIONS, SIZES):
        shares = (lost, 1 - lost - gained, gained)
        found = [coverage(method, (-1, 0, 1), shares, correlation, size, repeats) for method in (ours, bootstrap)]
        cells = "  ".join(f"{held:5.2f} {width:6.2f}" for held, width in found)
        print(f"{lost:4} {gained:6} {correlation:11} {size[0]:6} {size[1]:5} | {cells}", flush=True)


if __name__ == "__main__":
    main()
