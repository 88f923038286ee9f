"""Metrics: numbers about a model's probabilities on many held-out clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def accuracy(probabilities: NDArray[np.float32], targets: NDArray[np.int64], k: int = 1) -> float:
    """Top-k accuracy: the share of clips whose action is among the `k` most likely; 1.0 with at most `k` actions.

    Args:
        probabilities: float32 (N, K).
        targets: int64 (N,), the correct columns.
        k: How many answers count.
    """
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((top == targets[:, None]).any(axis=1).mean())


def chance(train_targets: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """Accuracy of always answering the action that is most common in training."""
    return float((targets == np.bincount(train_targets).argmax()).mean())


def macro_scores(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> dict[str, float]:
    """Precision, recall and F1, each averaged over the actions; an action that is never predicted counts as 0."""
    from sklearn.metrics import precision_recall_fscore_support  # here: teaching starts faster

    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, probabilities.argmax(axis=1), labels=range(probabilities.shape[1]), average="macro", zero_division=0
    )
    return {"macro_precision": float(precision), "macro_recall": float(recall), "macro_f1": float(f1)}


def calibration_error(probabilities: NDArray[np.float32], targets: NDArray[np.int64], bins: int = 15) -> float:
    """Expected calibration error (Guo et al., ICML 2017): the gap between confidence and accuracy in equal bins."""
    table = reliability(probabilities, targets, bins)
    return float((table["clips"] / table["clips"].sum() * (table["accuracy"] - table["confidence"]).abs()).sum())


def reliability(probabilities: NDArray[np.float32], targets: NDArray[np.int64], bins: int = 15) -> pd.DataFrame:
    """One row for each confidence bin that has clips: `clips`, mean `confidence`, `accuracy`."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": bin_of, "confidence": confidence, "accuracy": right.astype(float)}).groupby("bin")
    return table.agg(clips=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean"))


def balanced_accuracy(actions: Sequence[str], predicted: Sequence[str]) -> float:
    """The mean over the actions of the share of each one's clips that is classified correctly.

    scikit-learn's `balanced_accuracy_score`, but without its warning where an action is predicted that has no clip, and
    without its import, which would take teaching a second.
    """
    right = pd.Series(np.asarray(actions) == np.asarray(predicted))
    return float(right.groupby(np.asarray(actions)).mean().mean())


def per_class(
    probabilities: NDArray[np.float32],
    baseline: NDArray[np.float32],
    targets: NDArray[np.int64],
    labels: list[str],
) -> pd.DataFrame:
    """Results by action.

    Args:
        probabilities: float32 (N, K), by the model.
        baseline: float32 (N, K), by the order-blind baseline.
        targets: int64 (N,), the correct columns.
        labels: Names of the columns.

    Returns:
        One row for each action: `action`, `clips`, `precision`, `recall`, `f1`, `mean_pool_recall` (by the baseline),
        `most_confused_with` (empty if none).
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support  # here: teaching starts faster

    answers = probabilities.argmax(axis=1)
    indices = range(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(targets, answers, labels=indices, zero_division=0)
    _, baseline_recall, _, _ = precision_recall_fscore_support(
        targets, baseline.argmax(axis=1), labels=indices, zero_division=0
    )
    mistakes = confusion_matrix(targets, answers, labels=indices)
    np.fill_diagonal(mistakes, 0)
    confused = [labels[row.argmax()] if row.any() else "" for row in mistakes]
    return pd.DataFrame(
        {
            "action": labels,
            "clips": support,
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "mean_pool_recall": baseline_recall,
            "most_confused_with": confused,
        }
    )
