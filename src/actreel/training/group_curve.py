"""How the accuracy of a probe on new groups grows with the number of groups that it learned from.

A probe is solved so fast that it can be solved again for parts of its groups; a network would have to be trained again
for each point of the curve.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.training.folds import Pooled

COLUMNS = ["size", "groups", "group", "clips", "right"]
NUM_SIZES = 4
RATIO = 1.6
"""Each size has so many times as many groups as the one before."""
REPEATS = 3
MOST_CLIPS = 4000
"""Clips to solve for at the largest size, over all folds and repeats; one fold is always solved."""


def group_curve(clips: Pooled, penalty: float, seed: int) -> pd.DataFrame:
    """Solves a probe for some of the groups of each action, and scores the clips of the groups that a fold holds out.

    Every fold holds its groups out in turn, and draws some of the others several times; of each action, it takes as
    many groups. Large datasets are solved for fewer folds.

    Args:
        clips: Those that the probe was solved for.
        penalty: The probe's, as scikit-learn's C.
        seed: Of the draws.

    Returns:
        A row for each size and held-out group: `size`, the groups of each action that were asked for; `groups`, how
        many there were, the mean over the actions; `group`, the held-out one; `clips`, how often one of its clips was
        scored, and `right`, how often rightly. Empty if an action has too few groups for two sizes.
    """
    folds = [(others, held_out) for others, held_out in clips.folds() if len(held_out)]
    sizes = _sizes(clips, [others for others, _ in folds])
    if len(sizes) < 2:
        return pd.DataFrame(columns=COLUMNS)
    rng = np.random.default_rng(seed)
    rounds = max(1, min(REPEATS * len(folds), MOST_CLIPS // clips.num_clips))
    rows = []
    for others, held_out in (folds * REPEATS)[:rounds]:
        for size, groups, chosen in _draws(clips, others, sizes, rng):
            solutions = clips.solutions(chosen)
            kernel, bias = next(solutions.solve([penalty]))
            scores = solutions.standardised(clips.features[held_out]) @ kernel + bias
            right = scores.argmax(axis=1) == clips.targets[held_out]
            rows += [
                (size, groups, group, 1, int(hit)) for group, hit in zip(clips.group[held_out], right, strict=True)
            ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.groupby(["size", "group"], as_index=False).agg(
        groups=("groups", "mean"), clips=("clips", "sum"), right=("right", "sum")
    )[COLUMNS]


def _sizes(clips: Pooled, parts: list[NDArray[np.bool_]]) -> list[int]:
    """As many groups as half of the actions have in each part, and up to three sizes below that, ascending."""
    counts = [
        [len(np.unique(clips.group[part & (clips.targets == action)])) for action in _actions(clips)] for part in parts
    ]
    most = int(min((np.median(each) for each in counts), default=0))
    sizes = {round(most / RATIO**step) for step in range(NUM_SIZES)}
    return sorted(size for size in sizes if size >= 2)


def _actions(clips: Pooled) -> NDArray[np.int64]:
    return np.unique(clips.targets)


def _draws(
    clips: Pooled, others: NDArray[np.bool_], sizes: list[int], rng: np.random.Generator
) -> Iterator[tuple[int, float, NDArray[np.bool_]]]:
    """For each size, the mean number of groups of an action, and bool (V,), the views of these groups.

    The groups of a size are among those of each larger size. An action takes the first ones of a common order that show
    it, so groups that show all actions are taken whole.
    """
    order = {group: place for place, group in enumerate(rng.permutation(np.unique(clips.group)))}
    place = np.array([order[group] for group in clips.group])
    for size in sizes:
        chosen = np.zeros_like(others)
        counts = []
        for action in _actions(clips):
            views = others & (clips.targets == action)
            taken = np.unique(place[views])[:size]
            chosen |= views & np.isin(place, taken)
            counts.append(len(taken))
        yield size, float(np.mean(counts)), chosen
