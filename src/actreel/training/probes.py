"""Linear probes: heads on stored features, fitted by scikit-learn's solver instead of gradient descent.

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016. With a few dozen clips, the
result of gradient descent depends more on when it stops than on the clips; a penalised loss has one minimum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from actreel.config import TrainParams
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.models import CLIP_NORMALISE, PROBABILITIES
from actreel.quiet_keras import keras
from actreel.training.batches import class_weights, mirror_targets, targets_of
from actreel.training.fitting import Fitting, Logs, Records

PATH = tuple(float(strength) for strength in np.logspace(-4, 1, 11))
"""scikit-learn's C, from the strongest penalty to the weakest: each counts as an epoch."""

_MOST_STEPS = 2000
_BATCH = 64


def fit_probe(
    build: Callable[[], keras.Model],
    params: TrainParams,
    data: Fitting,
    records: Records,
    *,
    epochs: int | None = None,
) -> tuple[keras.Model, Logs]:
    """Solves the last layer of what `build` makes, for one penalty after the other.

    A clip that may be mirrored is used in both views.

    Args:
        build: Makes a probe, the same each time.
        params: Only `mirror`, `mirror_as` and `balance` are used.
        data: Features of a frozen encoder; the validation clips decide which penalty is kept; without them
            it is the last.
        records: What is kept of each penalty, which counts as an epoch; no state is kept.
        epochs: How many penalties of `PATH` are tried; all if None.

    Returns:
        The fitted probe, and each penalty's `loss` and `accuracy`, and the same of the validation clips as `val_loss`
        and `val_accuracy`. Losses do not include the penalty.

    Raises:
        ConfigError: `train.mirror_as` does not fit the labels.
        ModelError: There are no features, or clips of one action only.
    """
    store, labels = data.store, data.labels
    if not store.holds_features:
        raise ModelError(
            "A probe needs the features of a frozen encoder. Received: a store of frames. Run: dvc repro encode"
        )
    names, targets, mirrored = _views(data.rows, params, labels)
    if len(set(targets.tolist())) < 2:
        raise ModelError(f"A probe needs training clips of at least 2 actions. Received: {labels[targets[0]]} only.")
    weights = class_weights(targets, len(labels)) if params.balance else np.ones(len(labels), dtype=np.float32)
    model = build()
    normalise, last = model.get_layer(CLIP_NORMALISE), model.get_layer(PROBABILITIES)
    pooled = _run(keras.Model(model.input, normalise.input), store, names, mirrored)
    normalise.set_weights([pooled.mean(axis=0), pooled.var(axis=0)])
    standard = keras.Model(model.input, last.input)
    known = _run(standard, store, names, mirrored)
    validation = None
    if data.val is not None:
        validation = _run(standard, store, data.val["clip"].tolist()), targets_of(data.val, labels)

    solver = LogisticRegression(warm_start=True, max_iter=_MOST_STEPS)
    logs: Logs = []
    kept: list[NDArray[np.float32]] = []
    for epoch, strength in enumerate(PATH[:epochs], 1):
        solver.set_params(C=strength).fit(known, targets, sample_weight=weights[targets])
        last.set_weights(_as_dense(solver, len(labels)))
        metrics = _metrics(last, known, targets, weights)
        if validation is not None:
            metrics |= {f"val_{name}": value for name, value in _metrics(last, *validation, weights).items()}
        if records.epoch_weights is not None:
            records.epoch_weights.mkdir(parents=True, exist_ok=True)
            model.save_weights(records.epoch_weights / f"{epoch:03d}.weights.h5")
        if validation is None or all(metrics["val_loss"] < before["val_loss"] for before in logs):
            kept = last.get_weights()
        logs.append(metrics)
        records.on_epoch(epoch, metrics)
    last.set_weights(kept)
    return model, logs


def _views(
    rows: pd.DataFrame, params: TrainParams, labels: list[str]
) -> tuple[list[str], NDArray[np.int64], list[bool]]:
    """All clips, then the mirrored ones: their names, their targets, and whether each is mirrored."""
    names, targets = rows["clip"].to_numpy(), targets_of(rows, labels)
    images = mirror_targets(params, labels)[targets]
    both = images >= 0
    flags = [False] * len(names) + [True] * int(both.sum())
    return [*names, *names[both]], np.r_[targets, images[both]], flags


def _run(model: keras.Model, store: Store, names: list[str], mirrored: list[bool] | None = None) -> NDArray[np.float32]:
    batches = store.batches(names, _BATCH, mirrored)
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])


def _as_dense(solver: LogisticRegression, num_classes: int) -> list[NDArray[np.float32]]:
    """The solution as weights of a dense layer with a softmax."""
    kernel, bias = solver.coef_.T, solver.intercept_
    if len(solver.classes_) == 2:  # scikit-learn then solves for one action against the other
        kernel, bias = np.hstack([-kernel, kernel]) / 2, np.r_[-bias, bias] / 2
    weights = [np.zeros((len(kernel), num_classes), np.float32), np.full(num_classes, bias.min() - 100, np.float32)]
    weights[0][:, solver.classes_] = kernel
    weights[1][solver.classes_] = bias  # an action without clips is never predicted
    return weights


def _metrics(
    last: keras.Layer, features: NDArray[np.float32], targets: NDArray[np.int64], weights: NDArray[np.float32]
) -> dict[str, float]:
    probabilities = np.asarray(last(features))
    given = probabilities[np.arange(len(targets)), targets]
    return {
        "accuracy": float((probabilities.argmax(axis=1) == targets).mean()),
        "loss": float((-np.log(given.clip(1e-7)) * weights[targets]).mean()),
    }
