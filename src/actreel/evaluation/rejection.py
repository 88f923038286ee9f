"""How well scores separate clips of known actions from clips that show none of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from actreel.training.rejection import distance_limit

DISTANCE = "distance"


def compare_scores(known: dict[str, NDArray[np.float32]], unknown: dict[str, NDArray[np.float32]]) -> pd.DataFrame:
    """Compares how well scores separate known clips, which should score higher, from unknown clips.

    Args:
        known: float32 (N,) for each score.
        unknown: float32 (U,) for each, U >= 1.

    Returns:
        One row for each score: `score`, `auroc` (area under the ROC curve) and `tar_at_5_far`, the share of known
        clips that is accepted at the limit that accepts 5 % of the unknown clips.
    """
    rows = []
    for name, ours in known.items():
        others = unknown[name]
        is_known = np.r_[np.ones(len(ours)), np.zeros(len(others))]
        accepted = -ours <= distance_limit(-others, 0.05)
        rows.append((name, float(roc_auc_score(is_known, np.r_[ours, others])), float(accepted.mean())))
    return pd.DataFrame(rows, columns=["score", "auroc", "tar_at_5_far"])


def rejection_metrics(
    table: pd.DataFrame, known: NDArray[np.float32], unknown: NDArray[np.float32], max_distance: float | None
) -> dict[str, float | int]:
    """The metrics of rejection by distance, by their names in reports/metrics.json.

    Args:
        table: As returned by `compare_scores`.
        known: float32 (N,), distances of test clips.
        unknown: float32 (U,), distances of unknown clips that the limit was not set on.
        max_distance: The limit that is saved with the classifier; None accepts every clip.
    """
    (row,) = table[table["score"] == DISTANCE].to_dict("records")
    metrics: dict[str, float | int] = {
        "num_unknown_clips": len(unknown),
        "rejection_auroc": float(row["auroc"]),
        "rejection_tar_at_5_far": float(row["tar_at_5_far"]),
    }
    if max_distance is not None:
        metrics["true_accept_rate"] = float((known <= max_distance).mean())
        metrics["false_accept_rate"] = float((unknown <= max_distance).mean())
    return metrics


def scores_of(logits: NDArray[np.float32], distances: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Computes the scores to compare, each higher for known clips.

    Args:
        logits: float32 (N, K).
        distances: float32 (N,).

    Returns:
        `max_probability` (Hendrycks and Gimpel, ICLR 2017), `max_logit` (Hendrycks et al., ICML 2022), `energy`
        (Liu et al., NeurIPS 2020) and `distance`: float32 (N,) each.
    """
    energy = logsumexp(logits, axis=1)
    largest = logits.max(axis=1)
    return {
        "max_probability": np.exp(largest - energy).astype(np.float32),
        "max_logit": largest,
        "energy": energy.astype(np.float32),
        DISTANCE: -distances,
    }
