"""Rejection: telling clips that show none of the actions by how far they are from all that was learned.

The distance is Mahalanobis's, from a clip's embedding (what the head concludes, and what its frames look like on
average) to the nearest action's mean over the training clips, with the covariance that the actions share (Lee et al.,
"A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018). It was
picked by measurement; `reports/rejection.csv` compares it with three other scores for every model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from actreel.dataset.records import TEST, UNKNOWN, clips_of

DISTANCE = "distance"


@dataclass(frozen=True)
class Familiar:
    """Where the training clips lie in the space of embeddings.

    Attributes:
        whitening: float32 (D, D); embeddings times it have the identity for covariance around their action's mean.
        offset: float32 (D,), added then, which brings the mean of all to 0.
        centres: float32 (K, D), the actions' means after both.
    """

    whitening: NDArray[np.float32]
    offset: NDArray[np.float32]
    centres: NDArray[np.float32]

    def distances(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N,): from each embedding, float32 (N, D), to the nearest action's mean."""
        places = embeddings @ self.whitening + self.offset
        apart = [np.linalg.norm(places - centre, axis=1) for centre in self.centres]
        return np.asarray(np.min(apart, axis=0), dtype=np.float32)


def fit_familiar(embeddings: NDArray[np.float32], targets: NDArray[np.int64]) -> Familiar:
    """Finds the actions' means and their shared covariance.

    The covariance is shrunk (Ledoit and Wolf, 2004), so that it can be inverted with fewer clips than dimensions.

    Args:
        embeddings: float32 (N, D), of the training clips.
        targets: int64 (N,), their actions; each of 0..K-1 at least once.
    """
    actions = range(targets.max() + 1)
    means = np.stack([embeddings[targets == place].mean(axis=0, dtype=np.float64) for place in actions])
    spread = LedoitWolf(assume_centered=True).fit(embeddings - means[targets]).covariance_
    values, axes = np.linalg.eigh(spread)
    # Units that never move would be divided by nothing.
    whitening = axes / np.sqrt(np.maximum(values, 1e-6 * values.max() + 1e-12))
    offset = -means.mean(axis=0) @ whitening
    return Familiar(*(part.astype(np.float32) for part in (whitening, offset, means @ whitening + offset)))


def unknown_halves(index: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The clips of no known action: those that the threshold is set on, and those that it is judged on.

    Clips of test groups are judged on, clips of other learned groups are set on; groups of their own take turns. Where
    that leaves nothing to judge on, or nothing to set on, their actions take turns, or of one action the groups.
    """
    unknown = clips_of(index, UNKNOWN)
    learned = index[index["split"] != UNKNOWN]
    strangers = sorted(set(unknown["group"]) - set(learned["group"]))
    held_out = set(learned.loc[learned["split"] == TEST, "group"]) | set(strangers[::2])
    judged = unknown["group"].isin(held_out)
    if judged.all() or not judged.any():
        kind = "action" if unknown["action"].nunique() > 1 else "group"
        judged = unknown[kind].isin(sorted(set(unknown[kind]))[1::2])
    return unknown[~judged].reset_index(drop=True), unknown[judged].reset_index(drop=True)


def threshold(distances: NDArray[np.float32], false_accept_rate: float) -> float:
    """The distance below which a share of unknown clips is accepted, interpolated where clips are few.

    Args:
        distances: float32 (U,), of unknown clips, U >= 1.
        false_accept_rate: The share, in [0, 1).
    """
    return float(np.quantile(distances, false_accept_rate))


def compare_scores(known: dict[str, NDArray[np.float32]], unknown: dict[str, NDArray[np.float32]]) -> pd.DataFrame:
    """How well scores tell known clips, which should have the higher ones, from unknown clips.

    Args:
        known: float32 (N,) for each score.
        unknown: float32 (U,) for each, U >= 1.

    Returns:
        One row a score: `score`, `auroc` (area under the ROC curve) and `tar_at_5_far`, the share of the known clips
        that is accepted where 5 % of the unknown ones are.
    """
    rows = []
    for name, ours in known.items():
        others = unknown[name]
        is_known = np.r_[np.ones(len(ours)), np.zeros(len(others))]
        accepted = -ours <= threshold(-others, 0.05)
        rows.append((name, float(roc_auc_score(is_known, np.r_[ours, others])), float(accepted.mean())))
    return pd.DataFrame(rows, columns=["score", "auroc", "tar_at_5_far"])


def rejection_scores(
    table: pd.DataFrame, known: NDArray[np.float32], unknown: NDArray[np.float32], max_distance: float | None
) -> dict[str, float | int]:
    """The figures of the report.

    Args:
        table: What `compare_scores` gives.
        known: float32 (N,), distances of test clips.
        unknown: float32 (U,), distances of unknown clips that the limit was not set on.
        max_distance: The limit that was saved with the classifier.
    """
    (row,) = table[table["score"] == DISTANCE].to_dict("records")
    figures: dict[str, float | int] = {
        "num_unknown_clips": len(unknown),
        "rejection_auroc": float(row["auroc"]),
        "rejection_tar_at_5_far": float(row["tar_at_5_far"]),
    }
    if max_distance is not None:
        figures["true_accept_rate"] = float((known <= max_distance).mean())
        figures["false_accept_rate"] = float((unknown <= max_distance).mean())
    return figures


def scores_of(logits: NDArray[np.float32], distances: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The scores that are compared, higher for known clips.

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
