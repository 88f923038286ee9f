"""Ridge regression from standardised features to one-hot targets, for every penalty at once.

The solution depends on the clips through sums alone: counts, means and second moments. Clips in other places may
therefore add to it without being seen; see `actreel.federation`. With N clips of D features, the smaller of the N x N
and the D x D matrix is decomposed, once for all penalties.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

VARIANCE_FLOOR = 1e-6
"""Added to each feature's variance: features come as the encoder gives them, and may vary little."""

SHARPNESS = 10.0
"""What scores, which lie about 0 and 1, are multiplied by to be logits; the temperature does the rest."""


class SumSolutions(ABC):
    """The solutions of some clips, one for each penalty, which depend on the clips through sums alone.

    So does the sum of their `losses`, by which the penalty is chosen.

    Attributes:
        PATH: Penalties, from the strongest to the weakest.
        mean: float32 (D,), of the features.
        variance: float32 (D,), of the features.
    """

    PATH: ClassVar[tuple[float, ...]]

    def __init__(
        self, features: NDArray[Any], targets: NDArray[np.int64], weights: NDArray[np.float32], num_classes: int
    ) -> None:
        """Standardises the features and decomposes their second moments.

        Args:
            features: float32 or float64 (N, D).
            targets: int64 (N,), classes of 0..num_classes-1.
            weights: float32 (N,), the weight of each clip's loss.
            num_classes: K.
        """
        exact = features.astype(np.float64)
        mean, variance = exact.mean(axis=0), exact.var(axis=0)
        self.mean, self.variance = mean.astype(np.float32), variance.astype(np.float32)
        known = (exact - mean) / np.sqrt(variance + VARIANCE_FLOOR)
        self._decompose(known, targets, weights.astype(np.float64) / float(weights.sum()), num_classes)

    @abstractmethod
    def _decompose(
        self, known: NDArray[np.float64], targets: NDArray[np.int64], share: NDArray[np.float64], num_classes: int
    ) -> None:
        """Prepares for all penalties, given standardised features and weights whose sum is 1."""

    @abstractmethod
    def solve(self, path: Sequence[float]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Solves for each penalty of `path`.

        Yields:
            Kernel, float32 (D, K), and bias, float32 (K,): from standardised features to `SHARPNESS` times the scores.
        """

    def standardised(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Brings features, float (n, D), to mean 0 and variance 1 over the clips of `__init__`."""
        return np.asarray((features - self.mean) / np.sqrt(self.variance + VARIANCE_FLOOR), dtype=np.float32)

    @staticmethod
    def losses(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 (N,): the squared distance of each clip's scores from its one-hot target."""
        wanted = np.eye(logits.shape[1])[targets]
        return np.asarray(((logits / SHARPNESS - wanted) ** 2).sum(axis=1))


class RidgeSolutions(SumSolutions):
    """Ridge regressions; a penalty is a share of the features' total variance."""

    PATH: ClassVar = tuple(float(share) for share in np.logspace(1, -4, 11))

    def _decompose(
        self, known: NDArray[np.float64], targets: NDArray[np.int64], share: NDArray[np.float64], num_classes: int
    ) -> None:
        self._centre = share @ known
        self._prior = np.bincount(targets, share, num_classes)
        root = np.sqrt(share)[:, None]
        left = root * (known - self._centre)
        right = root * (np.eye(num_classes)[targets] - self._prior)
        self._total = float((left**2).sum())
        self._values, axes = eigen(left)
        # For each penalty, the weights are basis @ (inner / (values + penalty)).
        thin = len(axes) == len(left)
        self._basis, self._inner = axes, axes.T @ (right if thin else left.T @ right)
        if thin:
            self._basis = left.T @ axes

    def solve(self, path: Sequence[float]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """As in `SumSolutions`."""
        for penalty in path:
            least = np.finfo(np.float64).tiny  # features that never vary
            kernel = self._basis @ (self._inner / (self._values + max(penalty * self._total, least))[:, None])
            bias = self._prior - self._centre @ kernel
            yield (SHARPNESS * kernel).astype(np.float32), (SHARPNESS * bias).astype(np.float32)


def eigen(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues and eigenvectors of the smaller of rows rows' and rows' rows."""
    count, size = rows.shape
    values, axes = eigh(rows @ rows.T if count <= size else rows.T @ rows, overwrite_a=True, check_finite=False)
    return values.clip(0), axes
