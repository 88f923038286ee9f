"""Clips by their counts, means and second moments, and clips made up from these that have exactly the same.

A part is the clips of one group that show one action. Its second moments are kept as a factor F whose F'F is the
scatter matrix of its N clips around their mean, which takes N - 1 rows of D numbers in place of a D x D matrix and says
the same. Whatever depends on clips through sums over a part alone, such as ridge regression and its squared errors, is
the same for the clips and for the made-up ones. Of one or of two clips, these are the clips themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, svd

from actreel.training.folds import Pooled


@dataclass(frozen=True)
class Part:
    """The sums over the clips of one group that show one action, as recorded or in a mirror.

    Attributes:
        group: The group's name, or what stands for it.
        action: What the clips show.
        mirrored: Whether the sums are over mirrored views.
        clips: How many there are.
        mean: float64 (D,), of the pooled features.
        factor: float64 (R, D), R = min(clips - 1, D): factor' factor is the scatter matrix around the mean.
    """

    group: str
    action: str
    mirrored: bool
    clips: int
    mean: NDArray[np.float64]
    factor: NDArray[np.float64]


def rank(clips: int, size: int) -> int:
    """The number of rows of a part's factor: for so many clips of so many features."""
    return min(clips - 1, size)


def summarise(clips: Pooled, labels: Sequence[str]) -> list[Part]:
    """The parts of some clips: for each group, action and view, in the order of their names.

    Args:
        clips: The clips.
        labels: The names of their actions.
    """
    mirrored = np.arange(len(clips.targets)) >= clips.num_clips
    keys = sorted(set(zip(mirrored.tolist(), clips.group.tolist(), clips.targets.tolist(), strict=True)))
    parts = []
    for view, group, action in keys:
        views = (mirrored == view) & (clips.group == group) & (clips.targets == action)
        mean, factor = _moments(clips.features[views].astype(np.float64))
        parts.append(Part(str(group), labels[action], view, int(views.sum()), mean, factor))
    return parts


def _moments(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = features.mean(axis=0)
    count, size = features.shape
    if count == 1:
        return mean, np.empty((0, size))
    # By singular values: the factor then depends on the scatter matrix alone, and not on the order of the clips.
    _, values, axes = svd(features - mean, full_matrices=False, check_finite=False)
    kept = rank(count, size)
    factor = values[:kept, None] * axes[:kept]
    signs = np.sign(factor[np.arange(kept), np.abs(factor).argmax(axis=1)])
    return mean, factor * np.where(signs == 0, 1, signs)[:, None]


def made_up(part: Part) -> NDArray[np.float64]:
    """float64 (clips, D): as many clips as the part has, with its mean and its scatter."""
    kept = len(part.factor)
    if not kept:
        return np.repeat(part.mean[None], part.clips, axis=0)
    # Any columns of length 1 at right angles to each other and to a constant would do; the same ones each time.
    columns = np.random.default_rng(part.clips).standard_normal((part.clips, kept))
    turned, _ = qr(columns - columns.mean(axis=0), mode="economic", check_finite=False)
    return np.asarray(part.mean + turned @ part.factor)


def features_of(parts: Sequence[Part]) -> NDArray[Any]:
    """float64 (V, D): the made-up clips of all parts, in their order."""
    return np.concatenate([made_up(part) for part in parts])
