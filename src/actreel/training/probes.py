"""Linear probes: heads on stored features, solved by a regression or discriminants instead of gradient descent.

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016. With a few dozen clips, the
result of gradient descent depends more on when it stops than on the clips; a penalised loss has one minimum.

The penalty is chosen by cross-validation over the groups of all clips, and the probe is then solved for all of them:
no clip is lost to validation, and the answers to the held-out clips are left for calibration.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from actreel.config import LDA, RIDGE, TrainParams
from actreel.dataset.splits import assign_folds
from actreel.errors import ModelError
from actreel.models import CLIP_NORMALISE, PROBABILITIES
from actreel.quiet_keras import keras
from actreel.training.batches import mirror_targets
from actreel.training.fitting import Fitting, Logs, Records
from actreel.training.folds import FOLDS, FoldScores, Pooled, score_folds, scores_of, threads_for
from actreel.training.fusion import repeated
from actreel.training.lda import LdaSolutions
from actreel.training.logistic import Solutions
from actreel.training.ridge import RidgeSolutions, SumSolutions
from actreel.training.targets import class_weights, targets_of

_BATCH = 64


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
    clips = pool(model, head, params, data)
    with threads_for(clips):
        return solve_probe(model, clips, records, by_folds)


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
        metrics = scores_of(clips, recorded @ kernel + bias, targets)
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
