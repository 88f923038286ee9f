"""Judgement: what a model's probabilities on held-out clips are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support


def accuracy(probabilities: NDArray[np.float32], targets: NDArray[np.int64], k: int = 1) -> float:
    """Share of clips whose action is among the `k` surest; 1.0 wherever there are at most `k` actions.

    Args:
        probabilities: float32 (N, K).
        targets: int64 (N,), the right columns.
        k: How many answers count.
    """
    surest = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((surest == targets[:, None]).any(axis=1).mean())


def chance(train_targets: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """Accuracy of always answering the action that is most common in training."""
    return float((targets == np.bincount(train_targets).argmax()).mean())


def macro_scores(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> dict[str, float]:
    """Precision, recall and F1, each the plain mean over the actions; an action never answered counts 0."""
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, probabilities.argmax(axis=1), labels=range(probabilities.shape[1]), average="macro", zero_division=0
    )
    return {"macro_precision": float(precision), "macro_recall": float(recall), "macro_f1": float(f1)}


def interval_over_groups(
    right: NDArray[np.bool_] | NDArray[np.float64], groups: NDArray[np.str_], repeats: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of the accuracy, drawing whole groups: their clips are no independent witnesses.

    Args:
        right: bool (N,), whether each clip was answered right; or float64, any value of each whose mean is asked for.
        groups: str (N,), each clip's group.
        repeats: Samples drawn.
        seed: Of the draw.

    Returns:
        Lower and upper end.
    """
    _, number = np.unique(groups, return_inverse=True)
    hits, sizes = np.bincount(number, weights=right), np.bincount(number)
    drawn = np.random.default_rng(seed).integers(len(sizes), size=(repeats, len(sizes)))
    low, high = np.quantile(hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


def calibration_error(probabilities: NDArray[np.float32], targets: NDArray[np.int64], bins: int = 15) -> float:
    """Expected calibration error (Guo et al., ICML 2017): how far confidence is from accuracy, over equal bins."""
    table = reliability(probabilities, targets, bins)
    return float((table["clips"] / table["clips"].sum() * (table["accuracy"] - table["confidence"]).abs()).sum())


def reliability(probabilities: NDArray[np.float32], targets: NDArray[np.int64], bins: int = 15) -> pd.DataFrame:
    """One row a bin of confidence that holds clips: `clips`, mean `confidence`, `accuracy`."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": place, "confidence": confidence, "accuracy": right.astype(float)}).groupby("bin")
    return table.agg(clips=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean"))


def balanced_accuracy(actions: list[str], answers: list[str]) -> float:
    """Mean over the actions of the share of each one's clips that is answered right."""
    right = pd.Series(actions) == pd.Series(answers)
    return float(right.groupby(pd.Series(actions)).mean().mean())


def per_class(
    probabilities: NDArray[np.float32],
    baseline: NDArray[np.float32],
    targets: NDArray[np.int64],
    labels: list[str],
) -> pd.DataFrame:
    """One row an action: `action`, `clips`, `precision`, `recall`, `f1`, `mean_pool_recall`, `most_confused_with`."""
    answers = probabilities.argmax(axis=1)
    places = range(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(targets, answers, labels=places, zero_division=0)
    _, blind, _, _ = precision_recall_fscore_support(targets, baseline.argmax(axis=1), labels=places, zero_division=0)
    mistakes = confusion_matrix(targets, answers, labels=places)
    np.fill_diagonal(mistakes, 0)
    confused = [labels[row.argmax()] if row.any() else "" for row in mistakes]
    return pd.DataFrame(
        {
            "action": labels,
            "clips": support,
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "mean_pool_recall": blind,
            "most_confused_with": confused,
        }
    )


@dataclass(frozen=True)
class Verdict:
    """Whether a model becomes champion.

    Attributes:
        promoted: Whether it does.
        reason: The rule that stopped it, or what it beat, in words.
    """

    promoted: bool
    reason: str


def judge(
    scores: dict[str, Any],
    has_champion: bool,
    champion_accuracy: float | None,
    fair_accuracy: float | None,
    *,
    leaky: bool = False,
    may_tie_baseline: bool = False,
) -> Verdict:
    """Applies the rules a champion has to meet, in order.

    Args:
        scores: `accuracy`, `chance` and `mean_pool_accuracy` on the test clips.
        has_champion: Whether there is a champion now.
        champion_accuracy: Its accuracy on the test clips that it has not learned from; None if there is no such clip.
        fair_accuracy: The candidate's on the same clips.
        leaky: Whether clips of one group stood on both sides of the split.
        may_tie_baseline: Whether it may be as accurate as the baseline, and no more.
    """
    if leaky:
        return Verdict(False, "a champion's groups must not cross splits. Received: split.protocol 'random'.")
    own, chance, blind = scores["accuracy"], scores["chance"], scores["mean_pool_accuracy"]
    advice = "Try another head, or hold out more groups (split.test), which tell the two better apart."
    if own <= chance:
        return Verdict(False, f"a champion must beat chance. Received: {own:.4f} against {chance:.4f}. {advice}")
    tie = own == blind
    if own < blind or (tie and not may_tie_baseline):
        if tie:
            advice += " If the order of frames is not what tells your actions apart: evaluate.may_tie_baseline=true."
        return Verdict(
            False,
            f"a champion must beat the order-blind mean-pool baseline. Received: {own:.4f} against {blind:.4f}. "
            f"{advice}",
        )
    beaten = f"{own:.4f} beats chance ({chance:.4f}) and {'ties with' if tie else 'beats'} mean-pool ({blind:.4f})"
    if not has_champion:
        return Verdict(True, f"{beaten}; there was no champion before.")
    if champion_accuracy is None or fair_accuracy is None:
        return Verdict(
            False,
            "a champion must beat the present one on clips that neither has learned from. Received: no such clip, "
            "since the present champion learned from all of these test clips. Use the split it was trained with.",
        )
    if fair_accuracy <= champion_accuracy:
        return Verdict(
            False,
            "a champion must beat the present one on the same test clips. "
            f"Received: {fair_accuracy:.4f} against {champion_accuracy:.4f}.",
        )
    return Verdict(True, f"{beaten}, and the champion before it ({fair_accuracy:.4f} to {champion_accuracy:.4f}).")
