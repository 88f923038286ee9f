"""Differential privacy of a site's sums: features are cut down to a length, and Gaussian noise is added once.

The unit is a group, so usually a person: files of two sites that differ in one whole group can hardly be told apart.
Sums perturbed so are known as AdaSSP (Wang, UAI 2018); the noise is calibrated after Balle and Wang, "Improving the
Gaussian Mechanism for Differential Privacy", ICML 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.stats import norm

from actreel.federation.parts import Part, rank
from actreel.federation.site_file import Noise
from actreel.training.folds import Pooled

SENSITIVITY = 2.0
"""How much a group adds at most, as a Frobenius norm: its clips weigh 1 in all, each with [1, x] of length <= 2^0.5."""


def sigma_for(epsilon: float, delta: float, sensitivity: float = SENSITIVITY) -> float:
    """The least standard deviation with which sums are (epsilon, delta)-differentially private."""

    def excess(log_sigma: float) -> float:
        sigma = math.exp(log_sigma)
        half, shift = sensitivity / (2 * sigma), epsilon * sigma / sensitivity
        # The second term in logarithms: e^epsilon alone may overflow.
        return float(norm.cdf(half - shift) - math.exp(epsilon + norm.logcdf(-half - shift)) - delta)

    return math.exp(brentq(excess, math.log(sensitivity) - 30, math.log(sensitivity) + 30, xtol=1e-10))


def with_noise(
    clips: Pooled,
    labels: Sequence[str],
    site: str,
    *,
    epsilon: float,
    delta: float,
    length: float,
    rng: np.random.Generator,
) -> tuple[Noise, tuple[Part, ...]]:
    """The sums of a site, one part an action, with noise.

    Everything that is returned is computed from noisy numbers, apart from the settings. Groups weigh the same, however
    many clips they have. As many of the largest directions of an action's scatter are kept as its noisy count allows.

    Args:
        clips: The clips.
        labels: Their actions.
        site: What stands for the groups, all of which become one.
        epsilon: Of differential privacy.
        delta: The same.
        length: Features longer than this are cut down to it. It must not be chosen by looking at the clips.
        rng: The source of the noise.
    """
    sigma = sigma_for(epsilon, delta)
    features = clips.features.astype(np.float64) / length
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1)
    known = np.c_[np.ones(len(features)), features]
    _, group, counts = np.unique(clips.group, return_inverse=True, return_counts=True)
    known *= np.sqrt(1 / counts[group])[:, None]
    parts = []
    for action, label in enumerate(labels):
        shown = known[clips.targets == action]
        noisy = shown.T @ shown + _symmetric(rng, known.shape[1], sigma)
        parts.append(_as_part(site, label, noisy, length))
    return Noise(epsilon=epsilon, delta=delta, norm=length, sigma=sigma), tuple(parts)


def _symmetric(rng: np.random.Generator, size: int, sigma: float) -> NDArray[np.float64]:
    upper = np.triu(rng.normal(0, sigma, (size, size)))
    return np.asarray(upper + np.triu(upper, 1).T)


def _as_part(site: str, label: str, noisy: NDArray[np.float64], length: float) -> Part:
    """The part that a noisy matrix [1, x]' [1, x] stands for."""
    size = len(noisy) - 1
    count = max(1.0, float(noisy[0, 0]))
    clips = max(1, round(count))
    mean = noisy[0, 1:] / count
    mean /= max(1.0, float(np.linalg.norm(mean)))
    kept = rank(clips, size)
    factor = np.empty((0, size))
    if kept:
        scatter = noisy[1:, 1:] - count * np.outer(mean, mean)
        values, axes = eigh(scatter, subset_by_index=[size - kept, size - 1], check_finite=False)
        factor = (np.sqrt(values.clip(0)) * axes).T
    return Part(site, label, False, clips, mean * length, factor * length)
