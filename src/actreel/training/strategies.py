"""Where training runs (one device, all GPUs of a machine, or several machines) and in which precision."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from actreel.errors import ConfigError
from actreel.quiet_keras import keras, tf

MULTI_WORKER = "multi_worker"

log = logging.getLogger(__name__)


@cache
def open_strategy(name: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of `train.strategy`.

    Args:
        name: `one`, `mirrored` (the GPUs of this machine, or its CPUs if it has none) or `multi_worker` (the processes
            in the environment variable TF_CONFIG; waits for them, and must be called before any other TensorFlow
            operation).

    Raises:
        ConfigError: `multi_worker` without a TF_CONFIG that names this process.
    """
    if name == MULTI_WORKER:
        _task()
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def is_chief(name: str) -> bool:
    """Whether this process writes files and the MLflow run: the first of several workers, or the only one.

    Raises:
        ConfigError: As `open_strategy`.
    """
    return name != MULTI_WORKER or _task() == ("worker", 0)


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Sets the precision of layers built inside the context; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def fit(
    model: keras.Model,
    batches: tf.data.Dataset,
    validation: tf.data.Dataset | None,
    *,
    strategy: tf.distribute.Strategy,
    epochs: int,
    first_epoch: int,
    steps: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Calls `model.fit`, or does its work for several workers, where Keras 3's fails (keras-team/keras#20585).

    Args:
        model: Compiled, in the scope of the strategy.
        batches: The batches of all epochs after `first_epoch`.
        validation: Batches to validate on after each epoch; None leaves validation out.
        strategy: As `open_strategy` gives it.
        epochs: The number of the last epoch, from 1.
        first_epoch: Epochs that are already done.
        steps: Batches an epoch.
        callbacks: With several workers, their methods for batches are not called.
    """
    callbacks = [*callbacks, _log_epochs(epochs)]
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=first_epoch,
            epochs=epochs,
            steps_per_epoch=steps,
            callbacks=callbacks,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )
        return
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    parts = iter(strategy.experimental_distribute_dataset(batches.with_options(options)))
    every = keras.callbacks.CallbackList(callbacks, model=model, epochs=epochs, steps=steps)

    @tf.function  # type: ignore[untyped-decorator]
    def step(part: tuple[tf.Tensor, ...]) -> None:
        strategy.run(model.train_step, args=(part,))

    model.stop_training = False
    every.on_train_begin()
    for epoch in range(first_epoch, epochs):
        every.on_epoch_begin(epoch)
        model.reset_metrics()
        for _ in range(steps):
            step(next(parts))
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        if validation is not None:
            logs |= {f"val_{name}": value for name, value in evaluate(model, validation).items()}
        every.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    every.on_train_end()


def evaluate(model: keras.Model, batches: tf.data.Dataset) -> dict[str, float]:
    """The loss and accuracy of a model, computed as Keras's `evaluate` does; each worker computes it on all batches."""
    loss = right = count = 0.0
    for clips, targets, *weights in batches:
        probabilities = model(clips, training=False)
        size = len(targets)
        loss += size * float(model.compute_loss(clips, targets, probabilities, *weights, training=False))
        actual = tf.argmax(targets, axis=1) if targets.shape.rank == 2 else targets
        right += float(tf.math.count_nonzero(tf.argmax(probabilities, axis=1) == actual))
        count += size
    return {"loss": loss / count, "accuracy": right / count}


def _log_epochs(epochs: int) -> keras.callbacks.Callback:
    """Logs the metrics of each epoch."""

    def show(epoch: int, logs: Mapping[str, float]) -> None:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        log.info(f"Epoch {epoch + 1}/{epochs}: {metrics}")

    return keras.callbacks.LambdaCallback(on_epoch_end=show)


def _task() -> tuple[str, int]:
    """This process's type and number among the workers."""
    try:
        task = json.loads(os.environ["TF_CONFIG"])["task"]
        return str(task["type"]), int(task["index"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            "train.strategy 'multi_worker' needs the environment variable TF_CONFIG, the same on each machine except "
            'for its task. Received: none, or one that is not valid. Try: {"cluster": {"worker": ["host1:2222", '
            '"host2:2222"]}, "task": {"type": "worker", "index": 0}}'
        ) from error
