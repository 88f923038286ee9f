"""Temperature scaling: dividing the logits by one number, to make confidence match accuracy.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

COLDEST, HOTTEST = 0.1, 100.0
"""Bounds of the search."""


def sharpened(probabilities: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Multiplies the logits by a factor and takes the softmax again.

    Args:
        probabilities: float32 (N, K).
        factor: `1 / T` applies a temperature T, `T` removes it.

    Returns:
        float32 (N, K).
    """
    return np.asarray(softmax(_logits(probabilities) * factor, axis=1), dtype=np.float32)


def _logits(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-30))


def fit_temperature(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Finds the temperature with the lowest cross-entropy to smoothed targets.

    If a model is right on all of a few clips, its likelihood is highest when it is certain, which a few clips do not
    justify. So the right action counts (N + 1) / (N + 2) and the others share the rest, as if one more answer had been
    right and one wrong (Platt, "Probabilistic outputs for support vector machines", 1999).

    Args:
        probabilities: float32 (N, K), of clips that the model was not fitted to.
        targets: int64 (N,), the right columns.
    """
    count, num_classes = probabilities.shape
    smoothed = np.full((count, num_classes), 1 / (count + 2) / (num_classes - 1))
    smoothed[np.arange(count), targets] = (count + 1) / (count + 2)
    logits = _logits(probabilities)

    def loss(log_temperature: float) -> float:
        return float(-(smoothed * log_softmax(logits * np.exp(-log_temperature), axis=1)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded").x))
