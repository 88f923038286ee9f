"""How far a clip is from everything that the model was trained on, to reject clips that show none of the actions.

The Mahalanobis distance from a clip's embedding (the head's last state beside the mean of the frames' features) to the
nearest action's mean over the training clips, with one covariance for all actions (Lee et al., "A Simple Unified
Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018). It was chosen by
measurement: `reports/rejection.csv` compares it with three other scores for every model.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actreel.training.ridge import eigen

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddingStatistics:
    """The distribution of the training clips' embeddings.

    Attributes:
        whitening: float32 (D, D); embeddings times this matrix have unit covariance around their action's mean.
        offset: float32 (D,), added after that, so that the mean of the actions' means is 0.
        centres: float32 (K, D), the actions' means after both.
    """

    whitening: NDArray[np.float32]
    offset: NDArray[np.float32]
    centres: NDArray[np.float32]

    def distances(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N,): the distance from each embedding, float32 (N, D), to the nearest action's mean."""
        whitened = embeddings @ self.whitening + self.offset
        apart = [np.linalg.norm(whitened - centre, axis=1) for centre in self.centres]
        return np.asarray(np.min(apart, axis=0), dtype=np.float32)

    @property
    def from_centres(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The squared distances from the centres as a linear layer on whitened embeddings, but for their own length.

        Returns:
            Its kernel, float32 (D, K), and bias, float32 (K,).
        """
        return -2 * self.centres.T, (self.centres**2).sum(axis=1)


@dataclass(frozen=True)
class HeldOut:
    """A model's outputs for clips of known actions that it was not fitted to.

    Attributes:
        probabilities: float32 (N, K), before calibration.
        distances: float32 (N,), from the clips that it was fitted to.
        targets: int64 (N,), the clips' actions.
    """

    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Rejection:
    """What decides whether a clip shows any of the actions.

    Attributes:
        statistics: The distribution of the training clips' embeddings.
        max_distance: The largest distance that counts as known; None accepts every clip.
    """

    statistics: EmbeddingStatistics
    max_distance: float | None


class Shrinkage(Protocol):
    """How much of a covariance is replaced by a multiple of the identity, as a share."""

    def __call__(self, around: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
        """Takes clips, float64 (N, D), whose mean is 0, and the eigenvalues of their covariance that are not 0."""


def ledoit_wolf(around: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    """Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004.

    As scikit-learn has it, but without its covariance: with N clips of D > N dimensions, N x N numbers say the same.
    """
    (count, size), squares = around.shape, float((spread**2).sum())
    apart = squares - spread.sum() ** 2 / size
    noise = (float(((around**2).sum(axis=1) ** 2).mean()) - squares) / count
    return min(noise / apart, 1.0) if apart > 0 else 0.0


def oas(around: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    """Oracle approximating shrinkage (Chen et al., 2010), as scikit-learn has it, from the covariance alone."""
    count, size = around.shape
    mean, squares = float(spread.sum()) / size, float((spread**2).sum()) / size**2
    apart = (count + 1) * (squares - mean**2 / size)
    return min((squares + mean**2) / apart, 1.0) if apart > 0 else 1.0


def fit_statistics(
    embeddings: NDArray[Any], targets: NDArray[np.int64], shrinkage: Shrinkage = ledoit_wolf
) -> EmbeddingStatistics:
    """Estimates the actions' means and their shared covariance.

    The covariance is shrunk, so that it can be inverted with fewer clips than dimensions: by Ledoit and Wolf's method
    (2004), or by OAS (Chen et al., 2010), which needs nothing but the covariance itself.

    Args:
        embeddings: float32 (N, D), of the training clips.
        targets: int64 (N,), their actions.
        shrinkage: The method.
    """
    actions, place = np.unique(targets, return_inverse=True)
    means = np.stack([embeddings[targets == action].mean(axis=0, dtype=np.float64) for action in actions])
    around = embeddings - means[place]
    spread, axes = _principal(around)
    share = shrinkage(around, spread)
    # Few clips span few of the D dimensions: in all others, the shrunk covariance is the same, and known.
    outside = share * spread.sum() / around.shape[1]
    values = (1 - share) * spread + outside
    # The lower bound keeps units that never change from a division by zero.
    least = 1e-6 * values.max() + 1e-12
    inside, outside = 1 / np.sqrt(np.maximum(values, least)), 1 / np.sqrt(max(outside, least))
    whitening = outside * np.eye(around.shape[1]) + (axes.T * (inside - outside)) @ axes
    offset = -means.mean(axis=0) @ whitening
    centres = means @ whitening + offset
    return EmbeddingStatistics(*(part.astype(np.float32) for part in (whitening, offset, centres)))


def _principal(around: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal axes of float64 (N, D) around 0: variances, (R,), and axes, (R, D), for the smaller R of N and D."""
    if len(around) <= around.shape[1]:
        _, lengths, axes = np.linalg.svd(around, full_matrices=False)
        return lengths**2 / len(around), axes
    values, columns = eigen(around)  # of many clips in a third of the time
    return values / len(around), columns.T


def distance_limit(distances: NDArray[np.float32], true_accept_rate: float) -> tuple[float, float]:
    """The distance within which a clip counts as known: a split conformal quantile (Vovk et al., 2005).

    If a further clip and the N given ones came from one source in any order, it would be within the limit with at least
    the returned probability, whatever the distribution of distances. N clips cannot promise more than N / (N + 1).

    Args:
        distances: float32 (N,), of known clips that the model was not fitted to, N >= 1.
        true_accept_rate: The share of known clips to accept, in (0, 1).

    Returns:
        The limit and the probability: `true_accept_rate`, or N / (N + 1) if that is less.
    """
    count = len(distances)
    rank = min(count, math.ceil((count + 1) * true_accept_rate))
    return float(np.sort(distances)[rank - 1]), min(true_accept_rate, count / (count + 1))


def fit_rejection(statistics: EmbeddingStatistics, held_out: HeldOut, true_accept_rate: float) -> Rejection:
    """Sets the rejection limit such that it accepts a given share of known clips.

    There is no limit, and a warning, if the network gives all clips one embedding, as one does whose units have died.

    Args:
        statistics: The distribution of the clips that the model was fitted to.
        held_out: Clips of known actions that it was not fitted to.
        true_accept_rate: The share.
    """
    limit, promised = distance_limit(held_out.distances, true_accept_rate)
    if limit == 0:
        log.warning(
            "The network gives every clip the same embedding: it has learned nothing, and no clip is rejected. Try a "
            "lower train.learning_rate, or a frozen encoder: make learn RECIPE=auto"
        )
        return Rejection(statistics, None)
    count = len(held_out.distances)
    log.info(
        f"The rejection limit is set on {count} held-out clips, to accept about {promised:.1%} of known clips."
        + (f" For {true_accept_rate:.1%} there are too few." if promised < true_accept_rate else "")
    )
    return Rejection(statistics, limit)
