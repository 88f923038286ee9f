"""Linear heads that are solved for parts of the groups: what each solution says of the groups that it did not see.

From this come the penalty of a head, its calibration and its rejection limit. Without TensorFlow: teaching starts
faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from actreel.config import SUM_PROBES, ModelParams
from actreel.errors import ModelError
from actreel.training.logistic import Solutions
from actreel.training.rejection import EmbeddingStatistics, HeldOut, fit_statistics, ledoit_wolf, oas
from actreel.training.ridge import SumSolutions

FOLDS = 5

PATIENCE = 3
"""Penalties without a lower loss after which weaker ones are not tried."""

FEW_VIEWS = 500
"""Views up to which one thread solves a probe."""


@dataclass(frozen=True)
class Pooled:
    """The clips of a probe, pooled over time, and the folds that hold them out.

    A clip that may be mirrored is there in two views; the views as recorded come first.

    Attributes:
        features: float32 (V, D), before standardisation; float64 if they were made from sums over clips.
        targets: int64 (V,), the views' actions.
        fold: int64 (V,); views of one group share a fold. A fold below 0 is never held out.
        group: str (V,), the views' groups.
        num_clips: N, the number of views as recorded.
        weights: float32 (K,), the weight of each action's loss.
        solver: What solves the probe; each penalty of its `PATH` counts as an epoch.
        scales: float32 (D,), what each feature is multiplied by once it is standardised.
    """

    features: NDArray[Any]
    targets: NDArray[np.int64]
    fold: NDArray[np.int64]
    group: NDArray[np.str_]
    num_clips: int
    weights: NDArray[np.float32]
    solver: type[Solutions | SumSolutions] = Solutions
    scales: NDArray[np.float32] | float = 1.0

    def folds(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
        """For each fold: bool (V,), the views of the others, and int64 (n,), its clips whose action these show too."""
        for fold in np.unique(self.fold[self.fold >= 0]):
            others = self.fold != fold
            known = np.isin(self.targets, self.targets[others])
            yield others, np.flatnonzero((~others & known)[: self.num_clips])

    def solutions(self, views: NDArray[np.bool_] | slice = slice(None)) -> Solutions | SumSolutions:
        """The regressions of some views."""
        targets = self.targets[views]
        weights = self.weights[targets]
        if issubclass(self.solver, SumSolutions):  # its features come from one encoder
            return self.solver(self.features[views], targets, weights, len(self.weights))
        return Solutions(self.features, targets, weights, len(self.weights), self.scales, views)


@dataclass(frozen=True)
class FoldScores:
    """What the solutions of the folds say of the clips that they hold out.

    Attributes:
        by_penalty: For each penalty tried, until weaker ones no longer help: `loss` and `accuracy` of those clips.
        folds: For each fold: bool (N,), the recorded clips of the others, and int64 (n,), the clips held out.
        probabilities: float32 (M, K), of the clips held out, fold by fold, with the penalty of the lowest loss.
    """

    by_penalty: list[dict[str, float]]
    folds: list[tuple[NDArray[np.bool_], NDArray[np.int64]]]
    probabilities: NDArray[np.float32]

    @property
    def best(self) -> int:
        """The position of the penalty with the lowest loss."""
        return int(np.argmin([scores["loss"] for scores in self.by_penalty]))

    @property
    def held_out(self) -> NDArray[np.int64]:
        """int64 (M,): the clips held out, fold by fold, as `probabilities` has them."""
        return np.concatenate([held_out for _, held_out in self.folds])

    def right(self, targets: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Bool (M,): which of the clips held out are answered correctly; `targets`, int64 (N,), are all actions."""
        return np.asarray(self.probabilities.argmax(axis=1) == targets[self.held_out])


Scored = dict[ModelParams, FoldScores]
"""The scores of the probes that were solved for the folds of a run's training and validation clips."""


def clearly_better(new: FoldScores, old: FoldScores, targets: NDArray[np.int64]) -> bool:
    """Whether `new` is right on more of the clips that both hold out than `old`, by more than one standard error.

    The rule of Breiman et al., "Classification and Regression Trees", 1984. Without it, the luck of one clip would
    decide among what is equally good.
    """
    _, others, before = np.intersect1d(new.held_out, old.held_out, return_indices=True)
    gained = new.right(targets)[others].astype(int) - old.right(targets)[before]
    # The standard error of a sum of differences of 1 and -1 is the root of their number.
    return bool(gained.sum() > np.sqrt(np.abs(gained).sum()))


def threads_for(clips: Pooled) -> AbstractContextManager[object]:
    """Within it, NumPy and SciPy take one thread if the clips are few.

    Their products are then so small that threads wait for each other, and on a busy machine for a long time: the folds
    of 36 clips took 4.9 s with two threads and 0.3 s with one, on two cores with other work.
    """
    return threadpool_limits(1) if len(clips.features) <= FEW_VIEWS else nullcontext()


def score_folds(clips: Pooled, path: Sequence[float] = (), patience: int = PATIENCE) -> FoldScores:
    """Solves the probe for each fold's other views, and scores the clips that the fold holds out.

    Args:
        clips: The clips.
        path: Penalties, from the strongest to the weakest; those of the solver if there are none.
        patience: Penalties without a lower loss after which weaker ones are not tried.

    Raises:
        ModelError: No action is shown by clips of two groups.
    """
    path = path or clips.solver.PATH
    folds = [(others, held_out) for others, held_out in clips.folds() if len(held_out)]
    if not folds:
        raise ModelError(
            "To choose a probe's penalty, some action must be shown by clips of 2 groups. Received: each by one group "
            "only. Add clips of other people or scenes."
        )
    with threads_for(clips):
        scores, kept = _score(clips, folds, path, patience)
    return FoldScores(scores, [(others[: clips.num_clips], held_out) for others, held_out in folds], kept)


def _score(
    clips: Pooled,
    folds: Sequence[tuple[NDArray[np.bool_], NDArray[np.int64]]],
    path: Sequence[float],
    patience: int,
) -> tuple[list[dict[str, float]], NDArray[np.float32]]:
    """The scores of each penalty, and the probabilities with the best one."""
    parts = [(clips.solutions(others), held_out) for others, held_out in folds]
    paths = [solutions.solve(path) for solutions, _ in parts]
    targets = clips.targets[np.concatenate([held_out for _, held_out in folds])]
    scores: list[dict[str, float]] = []
    kept = np.empty(0, np.float32)
    for _ in path:
        answers = []
        for (solutions, held_out), each in zip(parts, paths, strict=True):
            kernel, bias = next(each)
            answers.append(solutions.standardised(clips.features[held_out]) @ kernel + bias)
        logits = np.concatenate(answers)
        scores.append(scores_of(clips, logits, targets))
        losses = [each["loss"] for each in scores]
        since_best = len(losses) - 1 - int(np.argmin(losses))
        if since_best == 0:
            kept = softmax(logits, axis=1)
        if since_best >= patience:
            break
    return scores, kept


def scores_of(clips: Pooled, logits: NDArray[np.float32], targets: NDArray[np.int64]) -> dict[str, float]:
    """`accuracy` and mean weighted `loss` of logits, float32 (n, K), of clips with these targets, int64 (n,)."""
    return {
        "accuracy": float((logits.argmax(axis=1) == targets).mean()),
        "loss": float((clips.solver.losses(logits, targets) * clips.weights[targets]).mean()),
    }


def hold_out_by_folds(
    scores: FoldScores, embeddings: NDArray[Any], targets: NDArray[np.int64], head: str
) -> tuple[EmbeddingStatistics, HeldOut]:
    """As `actreel.training.held_out.hold_out`, of a probe.

    Args:
        scores: By its folds.
        embeddings: float (N, F), of the recorded clips.
        targets: int64 (N,), their actions.
        head: As `model.head`.
    """
    # What is solved from sums depends on the clips through their first and second moments alone.
    fit = partial(fit_statistics, shrinkage=oas if head in SUM_PROBES else ledoit_wolf)
    distances = [
        fit(embeddings[others], targets[others]).distances(embeddings[held_out]) for others, held_out in scores.folds
    ]
    every = np.concatenate([held_out for _, held_out in scores.folds])
    return fit(embeddings, targets), HeldOut(scores.probabilities, np.concatenate(distances), targets[every])
