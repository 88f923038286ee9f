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
        accepted = -ours <= np.quantile(-others, 0.05)
        rows.append((name, float(roc_auc_score(is_known, np.r_[ours, others])), float(accepted.mean())))
    return pd.DataFrame(rows, columns=["score", "auroc", "tar_at_5_far"])


def accept_rate(name: str, clips: Scored, max_distance: float | None) -> dict[str, float]:
    """The share of clips that the classifier's limit accepts, with its interval for new groups.

    Args:
        name: The metric's name in reports/metrics.json.
        clips: The clips.
        max_distance: The limit; None accepts every clip, and then there is no metric.
    """
    if max_distance is None:
        return {}
    accepted = clips.distances <= max_distance
    low, high = interval_over_groups(accepted, clips.groups)
    return {name: float(accepted.mean()), f"{name}_low": low, f"{name}_high": high}


def separation(table: pd.DataFrame, unknown: Scored) -> dict[str, float | int]:
    """How well the distance separates unknown clips, by the names in reports/metrics.json.

    Args:
        table: As returned by `compare_scores`.
        unknown: Clips of none of the actions.
    """
    (row,) = table[table["score"] == DISTANCE].to_dict("records")
    return {
        "num_unknown_clips": len(unknown.distances),
        "num_unknown_groups": len(set(unknown.groups)),
        "rejection_auroc": float(row["auroc"]),
        "rejection_tar_at_5_far": float(row["tar_at_5_far"]),
    }


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
