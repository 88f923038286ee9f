"""Linear discriminant analysis of standardised features, for every shrinkage at once.

Fisher's discriminants with the covariance within actions shrunk towards a multiple of the identity (Friedman,
"Regularized discriminant analysis", JASA 1989), as scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr",
shrinkage=s, priors=p)` has them, where p are the shares of the clips' weights. Counts, means and second moments of the
actions are all that it needs, so clips in other places may add to it without being seen; see `actreel.federation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from actreel.training.ridge import SHARPNESS, SumSolutions, eigen

_LEAST_SPREAD = 1e-12
"""Of the variance within actions: where the clips of each are alike, what is left of it is rounding."""


class LdaSolutions(SumSolutions):
    """Discriminants; a penalty is a shrinkage: 1 leaves distances to the actions' means, 0 would not shrink at all.

    Scores are the discriminants, around their mean over the actions and times the one number that brings the scores of
    the clips as near as possible to their one-hot targets. This changes no answer, and brings discriminants of any
    shrinkage to the scale that temperature and loss need.
    """

    PATH: ClassVar = tuple(float(share) for share in np.logspace(0, -4, 9))

    def _decompose(
        self, known: NDArray[np.float64], targets: NDArray[np.int64], share: NDArray[np.float64], num_classes: int
    ) -> None:
        self._num_classes = num_classes
        self._shown, shown = np.unique(targets, return_inverse=True)
        weighted = share[:, None] * np.eye(len(self._shown))[shown]  # (N, S), for the S actions that have clips
        self._prior = weighted.sum(axis=0)
        self._means = (weighted / self._prior).T @ known
        left = np.sqrt(share)[:, None] * (known - self._means[shown])
        self._spread = max(float((left**2).sum()) / left.shape[1], _LEAST_SPREAD)
        self._values, axes = eigen(left)
        # The covariance is root @ root.T, with as many columns as the smaller of N and D.
        self._root = left.T @ axes if len(axes) == len(left) else axes * np.sqrt(self._values)
        self._inner = self._root.T @ self._means.T

    def discriminants(self, path: Sequence[float]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Solves for each shrinkage of `path`, above 0 and at most 1.

        Yields:
            Kernel, float64 (D, S), and bias, float64 (S,), for the S actions that have clips: from standardised
            features to the logarithm of an action's probability, but for a number that all actions share.
        """
        for shrinkage in path:
            # (a I + b R R')^-1 M = (M - R (a/b I + R'R)^-1 R'M) / a, and R'R is diagonal.
            own, rest = shrinkage * self._spread, 1 - shrinkage
            solved = rest * self._inner / (own + rest * self._values)[:, None]
            kernel = (self._means.T - self._root @ solved) / own
            yield kernel, np.log(self._prior) - (self._means.T * kernel).sum(axis=0) / 2

    def solve(self, path: Sequence[float]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """As in `SumSolutions`; an action without clips has the score 0, which is never the highest."""
        chance = 1 / len(self._shown)
        for plain, offset in self.discriminants(path):
            kernel, bias = plain - plain.mean(axis=1, keepdims=True), offset - offset.mean()
            # Over the clips: the mean product of scores and one-hot targets, and the mean square of the scores.
            levels = self._means @ kernel + bias
            product = float(self._prior @ np.diag(levels))
            square = float(self._prior @ (levels**2).sum(axis=1)) + float(((self._root.T @ kernel) ** 2).sum())
            scale = product / max(square, float(np.finfo(np.float64).tiny))
            every = np.zeros((len(kernel) + 1, self._num_classes), np.float32)
            every[:-1, self._shown] = SHARPNESS * scale * kernel
            every[-1, self._shown] = SHARPNESS * (scale * bias + chance)
            yield every[:-1], every[-1]
