"""Logistic regression on standardised features, in the row space of the clips.

With an L2 penalty, the best weights are a combination of the clips' features. With N clips of D > N features, it is
therefore enough, and exact, to solve for N coordinates instead of D weights.

L-BFGS needs hundreds of steps where features are correlated, as those of an encoder are. So the weights W are replaced
by U = R W, where R'R = a X'SX + I/C approximates the Hessian (after Böhning, "Multinomial logistic regression
algorithm", 1992): a is the mean curvature of the softmax, S the clips' weights and C scikit-learn's. About 20 steps are
then enough for any penalty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import softmax

VARIANCE_FLOOR = 1e-3
"""Added to each feature's variance, as Keras's batch normalisation does."""

_MOST_STEPS = 2000
_TOLERANCE = 2e-7
"""Of the gradient of the mean loss, in U."""
_SINGLE_TOLERANCE = 1e-6
"""In single precision. Below it lies rounding, in which the search for a step takes half of all evaluations."""

_JITTER = 1e-7
"""Added to the Gram matrix, as a share of its mean eigenvalue: clips that are alike make it singular."""

_LEAST_CURVATURE = 1e-3
_DOUBLE = 1_000_000
"""Numbers up to which the arithmetic is in double precision: beyond, single precision takes half the time."""


class Solutions:
    """The logistic regressions of some clips, one for each penalty.

    Attributes:
        PATH: Penalties as scikit-learn's C, from the strongest to the weakest.
        mean: float32 (D,), of the features.
        variance: float32 (D,), of the features; see `scaled_variance`.
    """

    PATH: ClassVar = tuple(float(strength) for strength in np.logspace(-4, 1, 11))

    def __init__(
        self,
        features: NDArray[np.float32],
        targets: NDArray[np.int64],
        weights: NDArray[np.float32],
        num_classes: int,
        scales: NDArray[np.float32] | float = 1.0,
        views: NDArray[np.bool_] | slice = slice(None),
    ) -> None:
        """Standardises the features and brings them into their row space.

        Of what is as large as the features, one array is kept, since several of these live at a time; the features are
        standardised again for each penalty, which takes a few percent of its time.

        Args:
            features: float32 (V, D); not copied.
            targets: int64 (N,), classes of 0..num_classes-1, at least two of them.
            weights: float32 (N,), the weight of each clip's loss.
            num_classes: K.
            scales: What each feature is multiplied by once it is standardised: float32 (D,).
            views: Which N of the features these are, as an index.
        """
        self._features, self._views = features, views
        rows = features[views]
        self.mean = rows.mean(axis=0)
        self.variance = scaled_variance(rows.var(axis=0), scales)
        self._num_classes = num_classes
        self._shown, shown = np.unique(targets, return_inverse=True)
        self._dtype: Any = np.float64 if len(rows) * min(rows.shape) <= _DOUBLE else np.float32
        self._in_row_space = len(rows) < rows.shape[1]
        del rows
        known = self._standardised_rows()
        if self._in_row_space:
            known = _coordinates(known).astype(self._dtype, copy=False)
        self._weights: NDArray[Any] = weights.astype(self._dtype)[:, None]
        # (R, R). Above the diagonal: the Hessian of the loss, but for its curvature. Below and on it, in the row space:
        # the coordinates, which are a lower triangular matrix.
        self._packed: NDArray[Any] = known.T @ (self._weights * known)
        self._diagonal = self._packed.diagonal().copy()  # of the Hessian
        if self._in_row_space:
            self._packed = np.triu(self._packed, 1)
            self._packed += known
        self._right: NDArray[Any] = (np.arange(len(self._shown)) == shown[:, None]).astype(self._dtype)

    def solve(self, path: Sequence[float]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Solves for each penalty of `path` (scikit-learn's C), starting from the solution before.

        Yields:
            Kernel, float32 (D, K), and bias, float32 (K,), of a softmax over the standardised features.
        """
        weights = np.zeros((len(self._packed), len(self._shown)))
        bias = np.zeros(len(self._shown))
        # With two classes, scikit-learn's penalty is on the difference between their weights: twice as much.
        halved = 2 if len(self._shown) == 2 else 1
        for strength in path:
            weights, bias = self._solved(strength / halved, weights, bias)
            yield self._as_dense(weights, bias)

    def standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Brings features, float32 (n, D), to mean 0, variance 1 over the clips of `__init__`, and their scale."""
        return np.asarray((features - self.mean) / np.sqrt(self.variance + VARIANCE_FLOOR), dtype=np.float32)

    def _standardised_rows(self) -> NDArray[Any]:
        """(N, D), a new array."""
        return self.standardised(self._features[self._views]).astype(self._dtype, copy=False)

    @staticmethod
    def losses(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 (N,): the cross-entropy of each clip's probabilities with its action."""
        return np.asarray(-np.log(softmax(logits, axis=1)[np.arange(len(targets)), targets].clip(1e-7)))

    def _solved(
        self, strength: float, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights, float64 (R, K), and bias, float64 (K,), for one penalty, from those given."""
        dtype, right, total = self._dtype, self._right, float(self._weights.sum())
        known = np.tril(self._packed) if self._in_row_space else self._standardised_rows()
        first = _softmax(known @ weights.astype(dtype) + bias.astype(dtype))[0]
        spread = float((self._weights * (1 - (first**2).sum(axis=1, keepdims=True))).sum()) / total
        curvature = max(spread / (right.shape[1] - 1), _LEAST_CURVATURE)
        root = curvature * self._packed
        root[np.diag_indices_from(root)] = curvature * self._diagonal + 1 / strength
        root = cholesky(root, overwrite_a=True, check_finite=False)  # of what is above the diagonal
        known = solve_triangular(root, known.T, trans="T", overwrite_b=True, check_finite=False).T
        scale = 1 / np.sqrt(curvature * total)
        shape = (len(weights) + 1, len(bias))

        def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            point = point.reshape(shape)
            scores = known @ point[:-1].astype(dtype)
            curved = self._weights * scores * curvature
            # |W|^2 / C = |U|^2 - a XW'SXW, so W itself is not needed.
            penalty = float((point[:-1] ** 2).sum()) - float((curved * scores).sum(dtype=np.float64))
            probabilities, logs = _softmax(scores + (point[-1] * scale).astype(dtype))
            lost = -float((self._weights * logs * right).sum(dtype=np.float64))
            pull = self._weights * (probabilities - right)
            gradient = np.empty(shape)
            gradient[:-1] = known.T @ (pull - curved)
            gradient[:-1] += point[:-1]
            gradient[-1] = pull.sum(axis=0, dtype=np.float64) * scale
            return (lost + penalty / 2) / total, gradient.ravel() / total

        start = np.vstack([root @ weights.astype(dtype), bias / scale])
        tolerance = _TOLERANCE if dtype == np.float64 else _SINGLE_TOLERANCE
        options = {"maxiter": _MOST_STEPS, "gtol": tolerance, "ftol": 1e-10, "maxls": 6}
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)
        solved = solve_triangular(root, found[:-1].astype(dtype), check_finite=False)
        return solved.astype(np.float64), found[-1] * scale

    def _as_dense(
        self, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._in_row_space:
            solved = solve_triangular(self._packed, weights, lower=True, trans="T", check_finite=False)
            weights = self.standardised(self._features[self._views]).T @ solved.astype(np.float32)
        kernel = np.zeros((len(weights), self._num_classes), np.float32)
        kernel[:, self._shown] = weights
        # A class without clips is never predicted.
        every_bias = np.full(self._num_classes, bias.min() - 100, np.float32)
        every_bias[self._shown] = bias
        return kernel, every_bias


def _coordinates(known: NDArray[Any]) -> NDArray[np.float64]:
    """The coordinates of clips, (N, D), in their row space: float64 (N, N), whose inner products are the clips'."""
    try:
        return _factor(known @ known.T)
    except LinAlgError:
        # Where few directions hold nearly all of the variance, single precision rounds others below zero.
        exact = known.astype(np.float64)
        return _factor(exact @ exact.T)


def _factor(products: NDArray[Any]) -> NDArray[np.float64]:
    """Vectors with these inner products, (N, N), as the rows of a lower triangular matrix."""
    gram = np.asarray(products, dtype=np.float64)
    gram[np.diag_indices_from(gram)] += max(_JITTER * float(gram.trace()) / len(gram), _JITTER)
    return np.asarray(cholesky(gram, lower=True, overwrite_a=True, check_finite=False))


def scaled_variance(variance: NDArray[np.float32], scales: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """The variance with which batch normalisation multiplies standardised features by `scales`: float32 (D,)."""
    return np.asarray((variance + VARIANCE_FLOOR) / np.square(scales) - VARIANCE_FLOOR, dtype=np.float32)


def _softmax(scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Probabilities and their logarithms, (N, K) each."""
    logs = scores - scores.max(axis=1, keepdims=True)
    probabilities = np.exp(logs)
    sums = probabilities.sum(axis=1, keepdims=True)
    return probabilities / sums, logs - np.log(sums)
