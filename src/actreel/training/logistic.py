"""Logistic regression on standardised features, in the row space of the clips.

With an L2 penalty, the best weights are a combination of the clips' features. With N clips of D > N features, it is
therefore enough, and exact, to solve for N coordinates instead of D weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

VARIANCE_FLOOR = 1e-3
"""Added to each feature's variance, as Keras's batch normalisation does."""

_MOST_STEPS = 2000
_LEAST_EIGENVALUE = 1e-7
_TOLERANCE = 1e-6


class Solutions:
    """The logistic regressions of some clips, one for each penalty.

    Attributes:
        mean: float32 (D,), of the features.
        variance: float32 (D,), of the features.
    """

    def __init__(
        self, features: NDArray[np.float32], targets: NDArray[np.int64], weights: NDArray[np.float32], num_classes: int
    ) -> None:
        """Standardises the features and brings them into their row space.

        Args:
            features: float32 (N, D).
            targets: int64 (N,), classes of 0..num_classes-1, at least two of them.
            weights: float32 (N,), the weight of each clip's loss.
            num_classes: K.
        """
        self.mean, self.variance = features.mean(axis=0), features.var(axis=0)
        self._targets, self._weights, self._num_classes = targets, weights, num_classes
        known = self.standardised(features)
        self._axes: NDArray[np.float64] | None = None  # (D, R), orthonormal: from coordinates to weights
        if len(known) < known.shape[1]:
            values, vectors = np.linalg.eigh(known.astype(np.float64) @ known.T)
            kept = values > _LEAST_EIGENVALUE * values[-1]
            kept[-1] = True  # even of clips that are all the same
            scale = np.sqrt(np.maximum(values[kept], _LEAST_EIGENVALUE))
            self._axes = known.T @ (vectors[:, kept] / scale)
            known = vectors[:, kept] * scale
        self._known = np.asarray(known, dtype=np.float64)  # float32 stops early where the penalty is weak

    def solve(self, path: Sequence[float]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Solves for each penalty of `path` (scikit-learn's C), starting from the solution before.

        Yields:
            Kernel, float32 (D, K), and bias, float32 (K,), of a softmax over the standardised features.
        """
        solver = LogisticRegression(warm_start=True, max_iter=_MOST_STEPS, tol=_TOLERANCE)
        for strength in path:
            solver.set_params(C=strength).fit(self._known, self._targets, sample_weight=self._weights)
            yield self._as_dense(solver)

    def standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Brings features, float32 (n, D), to mean 0 and variance 1 over the clips of `__init__`."""
        return np.asarray((features - self.mean) / np.sqrt(self.variance + VARIANCE_FLOOR), dtype=np.float32)

    def _as_dense(self, solver: LogisticRegression) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        weights, bias = solver.coef_.T, solver.intercept_
        if len(solver.classes_) == 2:  # scikit-learn then solves for one action against the other
            weights, bias = np.hstack([-weights, weights]) / 2, np.r_[-bias, bias] / 2
        if self._axes is not None:
            weights = self._axes @ weights
        kernel = np.zeros((len(weights), self._num_classes), np.float32)
        kernel[:, solver.classes_] = weights
        every_bias = np.full(
            self._num_classes, bias.min() - 100, np.float32
        )  # a class without clips is never predicted
        every_bias[solver.classes_] = bias
        return kernel, every_bias
