"""Temperature scaling: dividing the logits by one number, to make confidence match accuracy.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

COLDEST, HOTTEST = 0.25, 10.0
"""Bounds of the search. If every prediction is right, the optimum is 0, but a few clips do not justify certainty."""


def sharpened(probabilities: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Multiplies the logits by a factor and takes the softmax again.

    Args:
        probabilities: float32 (N, K).
        factor: `1 / T` applies a temperature T, `T` removes it.

    Returns:
        float32 (N, K).
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12)) * factor
    return np.asarray(softmax(logits, axis=1), dtype=np.float32)


def fit_temperature(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Finds the temperature with the lowest negative log-likelihood.

    Args:
        probabilities: float32 (N, K), of clips that the model was not trained on.
        targets: int64 (N,), the right columns.
    """

    def loss(log_temperature: float) -> float:
        likely = sharpened(probabilities, float(np.exp(-log_temperature)))[np.arange(len(targets)), targets]
        return float(-np.log(np.maximum(likely, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded").x))
