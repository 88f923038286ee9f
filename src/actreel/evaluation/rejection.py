"""How well scores separate clips of known actions from clips that show none of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from actreel.evaluation.intervals import interval_over_groups
from actreel.training.rejection import distance_limit

DISTANCE = "distance"


@dataclass(frozen=True)
class Scored:
    """Clips and how far they are from what the model was trained on.

    Attributes:
        distances: float32 (N,).
        groups: str (N,), each clip's group.
    """

    distances: NDArray[np.float32]
    groups: Collection[str]


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
    table: pd.DataFrame, known: Scored, unknown: Scored, max_distance: float | None
) -> dict[str, float | int]:
    """The metrics of rejection by distance, by their names in reports/metrics.json.

    Args:
        table: As returned by `compare_scores`.
        known: The test clips.
        unknown: Clips of none of the actions that the limit was not set on.
        max_distance: The limit that is saved with the classifier; None accepts every clip.
    """
    (row,) = table[table["score"] == DISTANCE].to_dict("records")
    metrics: dict[str, float | int] = {
        "num_unknown_clips": len(unknown.distances),
        "num_unknown_groups": len(set(unknown.groups)),
        "rejection_auroc": float(row["auroc"]),
        "rejection_tar_at_5_far": float(row["tar_at_5_far"]),
    }
    if max_distance is not None:
        for name, clips in (("true_accept_rate", known), ("false_accept_rate", unknown)):
            accepted = clips.distances <= max_distance
            low, high = interval_over_groups(accepted, clips.groups)
            metrics |= {name: float(accepted.mean()), f"{name}_low": low, f"{name}_high": high}
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
