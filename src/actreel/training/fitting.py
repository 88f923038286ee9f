"""Fits one network: combines batches, devices, callbacks and resumable state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import TrainParams
from actreel.dataset.store import Store
from actreel.errors import ConfigError, ModelError
from actreel.models.layout import quick_to_fit
from actreel.quiet_keras import keras
from actreel.training.batches import clip_batches, soft_targets, steps_an_epoch, training_batches
from actreel.training.gpu import capabilities, precision_of
from actreel.training.resume import Progress
from actreel.training.strategies import MULTI_WORKER, evaluate, fit, open_strategy, precision

MOST_STEPS_AT_ONCE = 16

FEW_STEPS = 50
"""A training of at most so many steps runs them one by one: tracing a loop around them takes 0.2 s longer."""

OnEpoch = Callable[[int, Mapping[str, float]], None]
Logs = list[dict[str, float]]
"""The metrics of each epoch."""


def no_op(epoch: int, metrics: Mapping[str, float]) -> None:
    """The default for `on_epoch`."""


@dataclass(frozen=True)
class Fitting:
    """The clips that a network is fitted to.

    Attributes:
        store: Frames or features, whichever the network takes.
        rows: Index rows to train on.
        val: Index rows that decide when to stop and which epoch to keep; None keeps the last epoch.
        labels: Actions in the order of the model's outputs.
        scales: float32 (F,), what each feature of a frame is multiplied by once it is standardised; None for 1.
    """

    store: Store
    rows: pd.DataFrame
    val: pd.DataFrame | None
    labels: list[str]
    scales: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Records:
    """What is saved during a training run.

    Attributes:
        state: File to resume from if the training is killed; None keeps none.
        epoch_weights: Folder for the weights after each epoch; None keeps none.
        prefix: What the names of those files start with.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
    """

    state: Path | None = None
    epoch_weights: Path | None = None
    prefix: str = ""
    on_epoch: OnEpoch = no_op


def fit_network(
    build: Callable[[], keras.Model],
    params: TrainParams,
    data: Fitting,
    records: Records,
    *,
    epochs: int | None = None,
    improve: bool = False,
) -> tuple[keras.Model, Logs]:
    """Fits the network that `build` makes.

    Args:
        build: Makes the network, the same each time.
        params: The training.
        data: The clips.
        records: What is kept.
        epochs: At most this many, `params.epochs` if None; the learning-rate schedule always follows `params.epochs`.
        improve: Whether the weights before the first epoch are kept if no epoch has a lower validation loss.

    Returns:
        The fitted network in float32, on one device, and each epoch's metrics.

    Raises:
        ConfigError: The batch size does not fit the devices, or `train.mirror_as` the labels.
        ModelError: Training diverged.
    """
    epochs = epochs or params.epochs
    strategy = open_strategy(params.strategy)
    drop_remainder = strategy.num_replicas_in_sync > 1
    model, plain = _compiled(build, params, len(data.rows), one_by_one=improve)
    validation = None
    if data.val is not None:
        validation = clip_batches(
            data.store, data.val, data.labels, params.batch_size, balance=params.balance, soft=soft_targets(params)
        )
    # Workers may not share a disk, and none may resume ahead of the others, so all start over.
    state = None if params.strategy == MULTI_WORKER else records.state
    progress = Progress(params.patience if data.val is not None else None, state)
    done = min(progress.restore(model), epochs)
    if improve and not done:
        progress.start_from(evaluate(model, validation)["loss"], model.get_weights())
    if done < epochs:
        fit(
            model,
            training_batches(
                params, data.store, data.rows, data.labels, first_epoch=done, drop_remainder=drop_remainder
            ),
            validation,
            strategy=strategy,
            epochs=epochs,
            first_epoch=done,
            steps=steps_an_epoch(params, len(data.rows), drop_remainder=drop_remainder),
            callbacks=[*_callbacks(model, plain, records), progress],
        )
    elif progress.best_weights:
        model.set_weights(progress.best_weights)
    _check_loss(progress.logs, params, "fine_tune_rate" if improve else "learning_rate")
    plain.set_weights(model.get_weights())
    return plain, progress.logs


def _callbacks(model: keras.Model, plain: keras.Model, records: Records) -> list[keras.callbacks.Callback]:
    callbacks = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: records.on_epoch(epoch + 1, logs)),
    ]
    if (folder := records.epoch_weights) is not None:
        folder.mkdir(parents=True, exist_ok=True)

        def keep(epoch: int, logs: Mapping[str, float]) -> None:
            plain.set_weights(model.get_weights())
            plain.save_weights(folder / f"{records.prefix}{epoch + 1:03d}.weights.h5")

        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=keep))
    return callbacks


def _check_loss(logs: Logs, params: TrainParams, rate: str) -> None:
    losses = [epoch["loss"] for epoch in logs]
    if not np.isfinite(losses).all():
        raise ModelError(
            f"Training diverged: the loss is {losses[-1]} in epoch {len(losses)}. Try a lower train.{rate} (now "
            f"{params.learning_rate:g}): dvc exp run -S train.{rate}={params.learning_rate / 10:g}"
        )


def _compiled(
    build: Callable[[], keras.Model], params: TrainParams, num_clips: int, *, one_by_one: bool
) -> tuple[keras.Model, keras.Model]:
    """Builds the network twice: compiled for training, and plain for the weights that come out of it.

    The first is on the devices, in the precision and the layout that train fastest; the second is on one device, in
    float32 and exactly as `build` returns it.
    """
    strategy = open_strategy(params.strategy)
    replicas = strategy.num_replicas_in_sync
    if replicas > 1 and (params.batch_size % replicas or params.batch_size > num_clips):
        raise ConfigError(
            f"train.batch_size must be a multiple of the {replicas} devices, and at most the {num_clips} clips to "
            f"train on. Received: {params.batch_size}."
        )
    steps = steps_an_epoch(params, num_clips, drop_remainder=replicas > 1)
    loss, accuracy = "sparse_categorical_crossentropy", keras.metrics.SparseCategoricalAccuracy
    if soft_targets(params):
        loss, accuracy = "categorical_crossentropy", keras.metrics.CategoricalAccuracy
    keras.utils.set_random_seed(params.seed)
    policy = precision_of(params.precision, capabilities())
    with precision(policy), strategy.scope():
        plain = build()
        model = quick_to_fit(plain)
        # Without clipping, an LSTM's first steps at a rate of 0.002 can end in a network that always answers the same.
        optimizer = keras.optimizers.Adam(learning_rate(params, steps), clipnorm=1.0)
        at_once = 1 if one_by_one or replicas > 1 else steps_at_once(steps, params.epochs)
        model.compile(optimizer=optimizer, loss=loss, metrics=[accuracy("accuracy")], steps_per_execution=at_once)
        # Once all variables exist, TensorFlow traces a training step once; it traces one that creates some twice.
        model.optimizer.build(model.trainable_variables)
    if params.strategy != "one" or policy != "float32":
        plain = build()
    return model, plain


def steps_at_once(steps: int, epochs: int) -> int:
    """How many steps Keras may take before it returns to Python, where Ctrl-C is noticed.

    A divisor of an epoch's steps, because Keras would otherwise run on into the next epoch.
    """
    if epochs * steps <= FEW_STEPS:
        return 1
    return max(number for number in range(1, MOST_STEPS_AT_ONCE + 1) if steps % number == 0)


def learning_rate(params: TrainParams, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Adam's step size: a number, or a Keras schedule over steps."""
    schedules = keras.optimizers.schedules
    rate, rising, total = params.learning_rate, params.warmup * steps, params.epochs * steps
    if params.schedule == "cosine":
        if rising:
            return schedules.CosineDecay(rate / rising, total - rising, warmup_target=rate, warmup_steps=rising)
        return schedules.CosineDecay(rate, total)
    return schedules.PolynomialDecay(rate / rising, rising, rate) if rising else rate
