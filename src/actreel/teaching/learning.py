"""A new last layer on a trained network, solved for the clips that it was trained on and those that it is taught."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from actreel.teaching.network import Network, Seen
from actreel.teaching.tail import Linear
from actreel.training.calibration import fit_temperature
from actreel.training.folds import FOLDS, FoldScores, Pooled, hold_out_by_folds, score_folds
from actreel.training.logistic import VARIANCE_FLOOR, Solutions
from actreel.training.rejection import Rejection, fit_rejection
from actreel.training.targets import class_weights, targets_of

FEW_CLIPS = 1500
"""Clips up to which every penalty is tried."""

NEVER_HELD_OUT = -1


@dataclass(frozen=True)
class Learned:
    """What teaching made.

    Attributes:
        labels: The actions, in the order of the outputs.
        last: The new last layer, calibrated.
        temperature: What its logits were divided by.
        rejection: What decides whether a clip shows any of the actions.
        scores: What the solutions of the folds say of the clips that they hold out, before calibration.
        clips: What the last layer was solved for.
        path: The penalties, from the strongest to the best one.
    """

    labels: tuple[str, ...]
    last: Linear
    temperature: float
    rejection: Rejection
    scores: FoldScores
    clips: Pooled
    path: tuple[float, ...]

    def without(self, fold: int, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, K): what the solution that holds a fold out says of further clips, float32 (n, S)."""
        solutions = self.clips.solutions(self.clips.fold != fold)
        *_, (kernel, bias) = solutions.solve(self.path)
        return np.asarray(softmax(solutions.standardised(states) @ kernel + bias, axis=1))


def deal_folds(rows: pd.DataFrame, known_before: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The fold that holds each clip out to choose the penalty, to calibrate and to estimate.

    Groups are dealt one by one, those with the rarest actions first, so that an action of few groups is in as many
    folds as it has groups.

    Args:
        rows: With `action` and `group`.
        known_before: bool (N,), clips that the layers below were fitted to: these would be answered too surely, so
            they are never held out.

    Returns:
        int64 (N,), below `FOLDS`; `NEVER_HELD_OUT` for those.
    """
    dealt: dict[str, int] = {}
    fair = rows[~known_before]
    for action in fair["action"].value_counts(ascending=True, sort=True).index:
        for group in sorted(fair.loc[fair["action"] == action, "group"].unique()):
            dealt.setdefault(group, len(dealt) % FOLDS)
    folds = rows["group"].map(dealt).fillna(NEVER_HELD_OUT).to_numpy(dtype=np.int64)
    return np.where(known_before, NEVER_HELD_OUT, folds)


def learn(
    network: Network, rows: pd.DataFrame, seen: Seen, folds: NDArray[np.int64], labels: tuple[str, ...], accept: float
) -> Learned:
    """Solves the last layer for all clips, with the penalty that is best on held-out groups.

    Args:
        network: What is taught.
        rows: With `action` and `group`, one for each of N clips.
        seen: What the network makes of them.
        folds: int64 (N,), from `deal_folds`.
        labels: The actions, in the order of the new outputs.
        accept: As `train.true_accept_rate`.

    Raises:
        ModelError: No clip can be held out.
    """
    targets = targets_of(rows, list(labels))
    # A new action comes with few clips, so that all actions must count the same.
    weights = class_weights(targets, len(labels))
    clips = Pooled(seen.states, targets, folds, rows["group"].to_numpy(dtype=str), len(rows), weights)
    few = len(rows) <= FEW_CLIPS
    path = Solutions.PATH if few else Solutions.PATH[::2]
    scores = score_folds(clips, path) if few else score_folds(clips, path, patience=1)
    solutions = clips.solutions()
    *_, (kernel, bias) = solutions.solve(path[: scores.best + 1])
    # What is subtracted and divided by goes into the layer: those below stay as they are.
    scaled = (kernel / np.sqrt(solutions.variance + VARIANCE_FLOOR)[:, np.newaxis]).astype(np.float32)
    statistics, held_out = hold_out_by_folds(scores, seen.embeddings, targets, network.params.head)
    temperature = fit_temperature(held_out.probabilities, held_out.targets)
    last = Linear(scaled / temperature, ((bias - solutions.mean @ scaled) / temperature).astype(np.float32))
    rejection = fit_rejection(statistics, held_out, accept)
    return Learned(labels, last, temperature, rejection, scores, clips, tuple(path[: scores.best + 1]))
