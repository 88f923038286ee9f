"""Fitting one network: batches, devices, callbacks and the state that a killed training goes on from, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel.config import TrainParams
from actreel.dataset.store import Store
from actreel.errors import ConfigError, ModelError
from actreel.models.layout import quick_to_fit
from actreel.quiet_keras import keras
from actreel.training.batches import clip_batches, soft_targets, steps_an_epoch, training_batches
from actreel.training.resume import Progress
from actreel.training.strategies import MULTI_WORKER, fit, judge, open_strategy, precision

MOST_STEPS_AT_ONCE = 16

OnEpoch = Callable[[int, Mapping[str, float]], None]
Logs = list[dict[str, float]]
"""The metrics of each epoch."""


def fit_network(
    build: Callable[[], Any],
    params: TrainParams,
    store: Store,
    rows: pd.DataFrame,
    val: pd.DataFrame | None,
    labels: list[str],
    *,
    state: Path | None,
    epochs: int | None = None,
    epoch_weights: Path | None = None,
    name: str = "",
    improve: bool = False,
    on_epoch: OnEpoch = lambda epoch, metrics: None,
) -> tuple[Any, Logs]:
    """Fits what `build` makes.

    Args:
        build: Makes the network, the same each time.
        params: The run.
        store: What the network takes.
        rows: Clips to learn from.
        val: Clips that tell when to stop and which epoch to keep; None keeps the last.
        labels: Actions in the order of the model's outputs.
        state: File for the state.
        epochs: As `params.epochs` if None; the learning rate's schedule is that of `params.epochs` in any case.
        epoch_weights: Folder for the weights after each epoch.
        name: What those files' names begin with.
        improve: Whether the weights before the first epoch are kept if no epoch has a lower validation loss.
        on_epoch: Called after each epoch.

    Returns:
        The fitted network in float32, on one device, and each epoch's metrics.

    Raises:
        ConfigError: The batch size does not fit the devices, or `train.mirror_as` the labels.
        ModelError: The loss is no number any more.
    """
    epochs = epochs or params.epochs
    model, plain = _compiled(build, params, len(rows), one_by_one=improve)
    replicas = model.distribute_strategy.num_replicas_in_sync
    validation = stopping = None
    if val is not None:
        validation = clip_batches(
            store, val, labels, params.batch_size, balance=params.balance, soft=soft_targets(params)
        )
        stopping = keras.callbacks.EarlyStopping("val_loss", patience=params.patience, restore_best_weights=True)
    # Workers may share no disk, and those of them that can go on must not run ahead: together they start over.
    progress = Progress(stopping, None if params.strategy == MULTI_WORKER else state)
    behind = min(progress.restore(model), epochs)
    if improve and not behind:
        progress.start_from(judge(model, validation)["loss"], model.get_weights())
    callbacks = [
        *([stopping] if stopping else []),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, logs)),
    ]
    if epoch_weights is not None:
        epoch_weights.mkdir(parents=True, exist_ok=True)

        def keep(epoch: int, logs: Mapping[str, float]) -> None:
            plain.set_weights(model.get_weights())
            plain.save_weights(epoch_weights / f"{name}{epoch + 1:03d}.weights.h5")

        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=keep))
    if behind < epochs:
        fit(
            model,
            training_batches(params, store, rows, labels, first_epoch=behind, drop_remainder=replicas > 1),
            validation,
            epochs=epochs,
            first_epoch=behind,
            steps=steps_an_epoch(params, len(rows), drop_remainder=replicas > 1),
            callbacks=[*callbacks, progress],
        )
    elif progress.best_weights:
        model.set_weights(progress.best_weights)
    losses = [epoch["loss"] for epoch in progress.logs]
    if not np.isfinite(losses).all():
        rate = "fine_tune_rate" if improve else "learning_rate"
        raise ModelError(
            f"the loss must stay a number. Received: {losses[-1]} in epoch {len(losses)}. "
            f"Lower train.{rate} (now {params.learning_rate:g})."
        )
    plain.set_weights(model.get_weights())
    return plain, progress.logs


def _compiled(build: Callable[[], Any], params: TrainParams, num_clips: int, *, one_by_one: bool) -> tuple[Any, Any]:
    """A new network on the devices, in the precision and the layout that it is trained with, ready to be fitted.

    And the same on one device, in float32 and as `build` makes it, for what is learned to be put into.
    """
    strategy = open_strategy(params.strategy)
    replicas = strategy.num_replicas_in_sync
    if replicas > 1 and (params.batch_size % replicas or params.batch_size > num_clips):
        raise ConfigError(
            f"train.batch_size must be a multiple of the {replicas} devices, and at most the {num_clips} clips to "
            f"learn from. Received: {params.batch_size}."
        )
    steps = steps_an_epoch(params, num_clips, drop_remainder=replicas > 1)
    loss = "categorical_crossentropy" if soft_targets(params) else "sparse_categorical_crossentropy"
    keras.utils.set_random_seed(params.seed)
    with precision(params.precision), strategy.scope():
        plain = build()
        model = quick_to_fit(plain)
        # Unclipped, an LSTM's first steps at a rate of 0.002 can end in a network that always answers the same.
        optimizer = keras.optimizers.Adam(learning_rate(params, steps), clipnorm=1.0)
        at_once = 1 if one_by_one or replicas > 1 else steps_at_once(steps)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], steps_per_execution=at_once)
    if params.strategy != "one" or params.precision != "float32":
        plain = build()
    return model, plain


def steps_at_once(steps: int) -> int:
    """How many steps Keras may take without a return to Python, which hears Ctrl-C.

    A divisor of an epoch's steps: Keras would go on into the next epoch otherwise.
    """
    return max(number for number in range(1, MOST_STEPS_AT_ONCE + 1) if steps % number == 0)


def learning_rate(params: TrainParams, steps: int) -> Any:
    """Adam's step size: a number, or a Keras schedule over steps."""
    schedules = keras.optimizers.schedules
    rate, rising, total = params.learning_rate, params.warmup * steps, params.epochs * steps
    if params.schedule == "cosine":
        if rising:
            return schedules.CosineDecay(rate / rising, total - rising, warmup_target=rate, warmup_steps=rising)
        return schedules.CosineDecay(rate, total)
    return schedules.PolynomialDecay(rate / rising, rising, rate) if rising else rate
