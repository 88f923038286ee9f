"""Linear probes: heads on stored features, solved by a regression or discriminants instead of gradient descent.

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016. With a few dozen clips, the
result of gradient descent depends more on when it stops than on the clips; a penalised loss has one minimum.

The penalty is chosen by cross-validation over the groups of all clips, and the probe is then solved for all of them:
no clip is lost to validation, and the answers to the held-out clips are left for calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from actreel.config import LDA, RIDGE, ModelParams, TrainParams
from actreel.dataset.splits import assign_folds
from actreel.errors import ModelError
from actreel.models import CLIP_NORMALISE, PROBABILITIES
from actreel.quiet_keras import keras
from actreel.training.batches import class_weights, mirror_targets, targets_of
from actreel.training.fitting import Fitting, Logs, Records
from actreel.training.fusion import repeated
from actreel.training.lda import LdaSolutions
from actreel.training.logistic import Solutions
from actreel.training.ridge import RidgeSolutions, SumSolutions

FOLDS = 5

PATIENCE = 3
"""Penalties without a lower loss after which weaker ones are not tried."""

_BATCH = 64


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
        return Solutions(self.features[views], targets, weights, len(self.weights), self.scales)


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


def fit_probe(
    build: Callable[[], keras.Model],
    head: str,
    params: TrainParams,
    data: Fitting,
    records: Records,
    by_folds: FoldScores | None = None,
) -> tuple[keras.Model, Logs, FoldScores]:
    """Solves the last layer of what `build` makes, with the penalty that is best on held-out groups.

    Args:
        build: Makes a probe, the same each time.
        head: As `model.head`.
        params: Only `mirror`, `mirror_as`, `balance` and `seed` are used.
        data: Features of a frozen encoder; `val` is not used.
        records: What is kept of each penalty, which counts as an epoch; no state is kept.
        by_folds: As returned for the same clips before; None solves the folds.

    Returns:
        The fitted probe, and for each penalty the `loss` and `accuracy` of all clips, and as `val_loss` and
        `val_accuracy` the same by the solutions of the folds, each on the clips that it holds out. Losses do not
        include the penalty. Then what the solutions of the folds said.

    Raises:
        ConfigError: `train.mirror_as` does not fit the labels.
        ModelError: There are no features, or too few groups or actions to hold out a part.
    """
    model = build()
    return solve_probe(model, pool(model, head, params, data), records, by_folds)


def solve_probe(
    model: keras.Model, clips: Pooled, records: Records, by_folds: FoldScores | None = None
) -> tuple[keras.Model, Logs, FoldScores]:
    """As `fit_probe`, of clips that are pooled already, in a model that is changed in place."""
    by_folds = by_folds or score_folds(clips)
    solutions = clips.solutions()
    model.get_layer(CLIP_NORMALISE).set_weights([solutions.mean, solutions.variance])
    last = model.get_layer(PROBABILITIES)
    recorded = solutions.standardised(clips.features[: clips.num_clips])
    targets = clips.targets[: clips.num_clips]
    logs: Logs = []
    kept: list[NDArray[np.float32]] = []
    for epoch, (kernel, bias) in enumerate(solutions.solve(clips.solver.PATH[: len(by_folds.by_penalty)])):
        last.set_weights([kernel, bias])
        if epoch == by_folds.best:
            kept = [kernel, bias]
        metrics = _scores(clips, recorded @ kernel + bias, targets)
        metrics |= {f"val_{name}": value for name, value in by_folds.by_penalty[epoch].items()}
        if records.epoch_weights is not None:
            records.epoch_weights.mkdir(parents=True, exist_ok=True)
            model.save_weights(records.epoch_weights / f"{epoch + 1:03d}.weights.h5")
        logs.append(metrics)
        records.on_epoch(epoch + 1, metrics)
    last.set_weights(kept)
    return model, logs, by_folds


def pool(model: keras.Model, head: str, params: TrainParams, data: Fitting, *, few: bool = False) -> Pooled:
    """Pools clips over time, and deals their groups to `FOLDS` folds, or to as many as there are groups.

    Args:
        model: A probe, fitted or not.
        head: As `model.head`.
        params: As for `fit_probe`.
        data: As for `fit_probe`.
        few: Whether one group or one action is enough, as where the clips are only summed.

    Raises:
        ConfigError: As for `fit_probe`.
        ModelError: As for `fit_probe`.
    """
    store, labels, rows = data.store, data.labels, data.rows
    if not store.holds_features:
        raise ModelError(
            "A probe needs the features of a frozen encoder. Received: a store of frames. Run: dvc repro encode"
        )
    groups = rows["group"].nunique()
    actions = sorted(rows["action"].unique())
    if not few and (len(actions) < 2 or groups < 2):
        raise ModelError(
            "A probe needs training clips of at least 2 actions and 2 groups. "
            f"Received: {', '.join(actions)} in {groups} groups."
        )
    names, targets = rows["clip"].to_numpy(), targets_of(rows, labels)
    group = rows["group"].to_numpy(dtype=str)
    fold = assign_folds(rows, min(FOLDS, groups), params.seed).to_numpy()
    images = mirror_targets(params, labels)[targets]
    both = images >= 0
    flags = [False] * len(names) + [True] * int(both.sum())
    pooling = keras.Model(model.input, model.get_layer(CLIP_NORMALISE).input)
    batches = store.batches([*names, *names[both]], _BATCH, flags)
    features = np.concatenate([np.asarray(pooling(batch, training=False)) for batch in batches])
    return Pooled(
        features=features,
        scales=repeated(data.scales, features.shape[1]),
        targets=np.r_[targets, images[both]],
        fold=np.r_[fold, fold[both]],
        group=np.r_[group, group[both]],
        num_clips=len(names),
        weights=class_weights(targets, len(labels)) if params.balance else np.ones(len(labels), dtype=np.float32),
        solver=solver_of(head),
    )


def solver_of(head: str) -> type[Solutions | SumSolutions]:
    """What solves a probe, as `model.head`."""
    if head == RIDGE:
        return RidgeSolutions
    return LdaSolutions if head == LDA else Solutions


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
        scores.append(_scores(clips, logits, targets))
        losses = [each["loss"] for each in scores]
        since_best = len(losses) - 1 - int(np.argmin(losses))
        if since_best == 0:
            kept = softmax(logits, axis=1)
        if since_best >= patience:
            break
    return FoldScores(scores, [(others[: clips.num_clips], held_out) for others, held_out in folds], kept)


def _scores(clips: Pooled, logits: NDArray[np.float32], targets: NDArray[np.int64]) -> dict[str, float]:
    return {
        "accuracy": float((logits.argmax(axis=1) == targets).mean()),
        "loss": float((clips.solver.losses(logits, targets) * clips.weights[targets]).mean()),
    }
