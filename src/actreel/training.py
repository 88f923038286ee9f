"""Training: stored clips in, a fitted model and its curve out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.backend import keras, tf
from actreel.config import ClipSpec, ModelParams, TrainParams
from actreel.dataset.store import StoredClips
from actreel.errors import ModelError
from actreel.models import build_model


def clip_batches(
    store: StoredClips,
    rows: pd.DataFrame,
    labels: list[str],
    batch_size: int,
    shuffle_seed: int | None = None,
) -> Any:
    """Batches of stored clips, read from the memory maps while the model works.

    Args:
        store: Where the frames are.
        rows: Index rows with `clip` and `action`.
        labels: Actions in the order of the model's outputs.
        batch_size: Clips a batch; the last may be smaller.
        shuffle_seed: Shuffles anew each epoch, the same way for the same seed; None keeps the order of the rows.

    Returns:
        A `tf.data.Dataset` of (uint8 (B, T, H, W, 3), int64 (B,)).
    """
    names = rows["clip"].to_numpy()
    targets = targets_of(rows, labels)

    def read(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        return store.take(names[positions].tolist())

    def load(positions: Any, target: Any) -> tuple[Any, Any]:
        clips = tf.numpy_function(read, [positions], tf.uint8, stateful=False)
        return tf.ensure_shape(clips, (None, *store.spec.shape)), target

    dataset = tf.data.Dataset.from_tensor_slices((np.arange(len(rows)), targets))
    if shuffle_seed is not None:
        dataset = dataset.shuffle(len(rows), seed=shuffle_seed)
    return dataset.batch(batch_size).map(load).prefetch(2)


def targets_of(rows: pd.DataFrame, labels: list[str]) -> NDArray[np.int64]:
    """int64 (N,): each row's action as a position in `labels`."""
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places[action] for action in rows["action"]], dtype=np.int64)


def train(
    model_params: ModelParams,
    params: TrainParams,
    store: StoredClips,
    rows: Mapping[str, pd.DataFrame],
    labels: list[str],
    *,
    epoch_weights: Path | None = None,
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda epoch, metrics: None,
) -> tuple[Any, pd.DataFrame]:
    """Fits a new model, keeping the weights of the epoch with the lowest validation loss.

    The same parameters, clips and machine give the same weights.

    Args:
        model_params: The network.
        params: The run.
        store: Stored clips.
        rows: Index rows of the splits `train` and `val`.
        labels: Actions in the order of the model's outputs.
        epoch_weights: Folder for the weights after each epoch, `001.weights.h5` and so on.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.

    Returns:
        The `keras.Model`, and a table with one row an epoch: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`.

    Raises:
        ModelError: The loss is no number any more.
    """
    keras.utils.set_random_seed(params.seed)
    model = build_model(model_params, store.spec, len(labels))
    model.compile(
        optimizer=keras.optimizers.Adam(params.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=params.patience, restore_best_weights=True)
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, logs))
    callbacks = [stopping, keras.callbacks.TerminateOnNaN(), report]
    if epoch_weights is not None:
        epoch_weights.mkdir(parents=True, exist_ok=True)
        file = str(epoch_weights / "{epoch:03d}.weights.h5")
        callbacks.append(keras.callbacks.ModelCheckpoint(file, save_weights_only=True))
    history = model.fit(
        clip_batches(store, rows["train"], labels, params.batch_size, shuffle_seed=params.seed),
        validation_data=clip_batches(store, rows["val"], labels, params.batch_size),
        epochs=params.epochs,
        callbacks=callbacks,
        shuffle=False,  # the batches are shuffled already
        verbose=2,
    )
    curve = pd.DataFrame(history.history)
    if not np.isfinite(curve["loss"]).all():
        raise ModelError(
            f"the loss must stay a number. Received: {curve['loss'].iloc[-1]} in epoch {len(curve)}. "
            f"Lower train.learning_rate (now {params.learning_rate:g})."
        )
    curve.insert(0, "epoch", np.arange(1, len(curve) + 1))
    return model, curve


def predict(
    model: Any, store: StoredClips, rows: pd.DataFrame, labels: list[str], batch_size: int
) -> NDArray[np.float32]:
    """float32 (N, K): the Keras model's probabilities for stored clips, in the order of the rows."""
    batches = clip_batches(store, rows, labels, batch_size)
    return np.concatenate([np.asarray(model(clips, training=False)) for clips, _ in batches])


def epoch_models(model: Any, epoch_weights: Path) -> Iterator[Any]:
    """The model as it was after each epoch, one after the other; `model` itself ends with the last epoch's weights."""
    for file in sorted(epoch_weights.glob("*.weights.h5")):
        model.load_weights(file)
        yield model


def export_onnx(model: Any, spec: ClipSpec, path: Path) -> None:
    """Writes the model as ONNX: input `clip`, uint8 (B, T, H, W, 3); one output, float32 (B, K)."""
    model(np.zeros((1, *spec.shape), dtype=np.uint8))  # Keras exports only a model that has been called
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks numpy for `np.object` to see that it is gone
        model.export(path, format="onnx", verbose=False)
