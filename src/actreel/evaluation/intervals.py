"""How sure an average over test clips is, where the clips come in groups and the groups may be few."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

FEW_GROUPS = 10
"""With fewer groups than this, an interval is wide, and is shown with a note that says so."""
WIDENED = 0.6
"""The proposal has this share of the clips, so that its tails are heavier than the posterior's."""


def interval_over_groups(
    values: ArrayLike, groups: Collection[str], levels: tuple[int, ...] = (0, 1), draws: int = 20_000, seed: int = 0
) -> tuple[float, float]:
    """95 % credible interval of the mean over new groups, such as the accuracy on people not seen before.

    Clips of a group are not independent, so each group has shares of its own, which are drawn around common ones
    (Gelman et al., "Bayesian Data Analysis", chapter 5; Bowyer et al., ICML 2025, recommend it over bootstrap and
    normal intervals where there are few groups). All common shares, and all correlations within groups, are equally
    likely beforehand. The interval is the shortest that holds 95 % of the posterior, so it is never one point, and it
    includes 0 or 1 where all values are. `python -m benchmarks.intervals` measures how often it holds the truth.

    Args:
        values: (N,), the value of each clip, one of `levels`; N >= 1.
        groups: str (N,), each clip's group. With a group for each clip, the clips count as independent.
        levels: The values that a clip can have, ascending: 0 and 1 for wrong and right.
        draws: Samples from the posterior.
        seed: Of the random generator.

    Returns:
        Lower and upper bound.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), len(levels)), dtype=int)
    np.add.at(counts, (group_of, np.searchsorted(levels, values)), 1)
    shares, weights = _posterior(counts, np.random.default_rng(seed), draws)
    low, high = _shortest(shares @ np.array(levels), weights, levels[0], levels[-1])
    # If large groups differ from small ones, the mean over groups is not that over clips, which is what is reported.
    mean = float(np.asarray(values).mean())
    return min(low, mean), max(high, mean)


def balanced_interval(
    right: ArrayLike, actions: Collection[str], groups: Collection[str], draws: int = 20_000, seed: int = 0
) -> tuple[float, float]:
    """95 % credible interval of the balanced accuracy on new groups: of the mean over the actions of their recalls.

    Whoever answers without looking at the clip, at random or always the same, has a balanced accuracy of one divided by
    the number of actions, however uneven they are. Each action's recall has the posterior of `interval_over_groups`,
    independent of the others'. A guess that depends on the group alone is right for one of the group's actions only
    where it is wrong for the others, so for such guesses the interval is rather too wide.

    Args:
        right: bool (N,), which clips are classified correctly; N >= 1.
        actions: str (N,), each clip's action.
        groups: str (N,), each clip's group.
        draws: Samples from each posterior.
        seed: Of the random generator.

    Returns:
        Lower and upper bound.
    """
    right, actions, groups = np.asarray(right).astype(int), np.asarray(actions), np.asarray(groups)
    rng = np.random.default_rng(seed)
    names = np.unique(actions)
    total, mean = np.zeros(draws), 0.0
    for name in names:
        rows = actions == name
        counts = pd.crosstab(groups[rows], right[rows]).reindex(columns=[0, 1], fill_value=0).to_numpy()
        shares, weights = _posterior(counts, rng, draws)
        total += rng.choice(shares[:, 1], draws, p=weights / weights.sum())
        mean += float(right[rows].mean()) / len(names)
    low, high = _shortest(total / len(names), np.ones(draws), 0, 1)
    return min(low, mean), max(high, mean)


def _posterior(
    counts: NDArray[np.int64], rng: np.random.Generator, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Common shares of the levels, float64 (S, L), with weights (S,), given counts int64 (G, L).

    Importance sampling: for each correlation, the proposal is the posterior of as many independent clips as it leaves.
    """
    patterns, repeats = np.unique(counts, axis=0, return_counts=True)
    # Squares put more draws near 0, where the correlation lies if there are many groups.
    root = (np.arange(draws) + 0.5) / draws
    correlation = root**2
    independent = repeats / (1 + (patterns.sum(axis=1) - 1) * correlation[:, None])
    proposal = 1 + WIDENED * independent @ patterns
    drawn = rng.standard_gamma(proposal)
    shares = drawn / drawn.sum(axis=1, keepdims=True)
    proposed = gammaln(proposal.sum(axis=1)) + ((proposal - 1) * np.log(shares) - gammaln(proposal)).sum(axis=1)
    likelihood = np.zeros(draws)
    for pattern, times in zip(patterns, repeats, strict=True):
        concentrations = shares * (1 / correlation - 1)[:, None]
        likelihood += times * _dirichlet_multinomial(pattern, concentrations)
    posterior = likelihood - proposed + np.log(root)
    return shares, np.exp(posterior - posterior.max())


def _dirichlet_multinomial(counts: NDArray[np.int64], concentrations: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (S,): the logarithm of the probability of counts, int64 (L,), with concentrations, float64 (S, L).

    Up to what does not depend on the concentrations. SciPy's `dirichlet_multinomial` takes five times as long, and its
    module half a second to import.
    """
    total = concentrations.sum(axis=1)
    shown = counts > 0  # the terms of the others are 0
    of_levels = gammaln(counts[shown] + concentrations[:, shown]) - gammaln(concentrations[:, shown])
    return np.asarray(gammaln(total) - gammaln(counts.sum() + total) + of_levels.sum(axis=1))


def _shortest(
    values: NDArray[np.float64], weights: NDArray[np.float64], least: float, most: float
) -> tuple[float, float]:
    """The shortest interval that holds 95 % of the weighted values, which lie between `least` and `most`."""
    order = np.argsort(values)
    shares = weights[order] / weights.sum()
    points, below = np.r_[least, values[order], most], np.r_[0, shares.cumsum() - shares / 2, 1]
    starts = np.linspace(0, 0.05, 201)
    low, high = np.interp(starts, below, points), np.interp(starts + 0.95, below, points)
    best = (high - low).argmin()
    return float(low[best]), float(high[best])
