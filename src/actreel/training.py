"""Training: stored clips in, a fitted model and its curve out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.backend import keras, tf
from actreel.config import ClipSpec, ModelParams, TrainParams
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.features import StoredFeatures
from actreel.models import HEAD, NORMALISE, PROBABILITIES, build_encoder, build_head, build_model, join, state_of


def clip_batches(
    store: Store,
    rows: pd.DataFrame,
    labels: list[str],
    batch_size: int,
    shuffle_seed: int | None = None,
    mirror_seed: int | None = None,
    balance: bool = False,
) -> Any:
    """Batches of stored clips or their features, read from the memory maps while the model works.

    Args:
        store: Frames or features.
        rows: Index rows with `clip` and `action`.
        labels: Actions in the order of the model's outputs.
        batch_size: Clips a batch; the last may be smaller.
        shuffle_seed: Shuffles anew each epoch, the same way for the same seed; None keeps the order of the rows.
        mirror_seed: Mirrors each clip with a chance of one half, anew each epoch; None mirrors none.
        balance: Adds each clip's weight: 1 on average, and the same in sum for every action.

    Returns:
        A `tf.data.Dataset` of (uint8 (B, T, H, W, 3) or float32 (B, T, F), int64 (B,)), and float32 (B,) if balanced.
    """
    names = rows["clip"].to_numpy()
    targets = targets_of(rows, labels)
    aims = [targets]
    if balance:
        counts = np.bincount(targets)
        aims.append((len(rows) / (np.count_nonzero(counts) * counts[targets])).astype(np.float32))
    dtype = store.take(names[:1].tolist()).dtype
    chance = None if mirror_seed is None else np.random.default_rng(mirror_seed)

    def read(positions: NDArray[np.int64]) -> NDArray[Any]:
        mirrored = None if chance is None else (chance.random(len(positions)) < 0.5).tolist()
        return store.take(names[positions].tolist(), mirrored)

    def load(positions: Any, *aims: Any) -> tuple[Any, ...]:
        clips = tf.numpy_function(read, [positions], dtype, stateful=chance is not None)
        return tf.ensure_shape(clips, (None, *store.input_shape)), *aims

    dataset = tf.data.Dataset.from_tensor_slices((np.arange(len(rows)), *aims))
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
    store: Store,
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
        store: The clips' frames, or their features if the encoder is frozen.
        rows: Index rows of the splits `train` and `val`.
        labels: Actions in the order of the model's outputs.
        epoch_weights: Folder for the weights after each epoch, `001.weights.h5` and so on.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.

    Returns:
        The fitted `keras.Model`, from what the store holds to probabilities (`complete` makes it whole), and a table
        with one row an epoch: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`.

    Raises:
        ModelError: The loss is no number any more.
    """
    model = _compiled(model_params, params, store, rows["train"], labels)
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=params.patience, restore_best_weights=True)
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, logs))
    callbacks = [stopping, keras.callbacks.TerminateOnNaN(), report]
    if epoch_weights is not None:
        epoch_weights.mkdir(parents=True, exist_ok=True)
        file = str(epoch_weights / "{epoch:03d}.weights.h5")
        callbacks.append(keras.callbacks.ModelCheckpoint(file, save_weights_only=True))
    history = model.fit(
        _training_batches(params, store, rows["train"], labels),
        validation_data=clip_batches(store, rows["val"], labels, params.batch_size, balance=params.balance),
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
    if params.refit:
        best = int(curve["val_loss"].argmin()) + 1
        both = pd.concat([rows["train"], rows["val"]], ignore_index=True)
        model = _compiled(model_params, params, store, both, labels)
        model.fit(_training_batches(params, store, both, labels), epochs=best, shuffle=False, verbose=2)
    return model, curve


def _compiled(
    model_params: ModelParams, params: TrainParams, store: Store, rows: pd.DataFrame, labels: list[str]
) -> Any:
    """A new network, ready to be fitted to these rows."""
    keras.utils.set_random_seed(params.seed)
    if isinstance(store, StoredFeatures):
        model = build_head(model_params, store.spec, store.input_shape[1:], len(labels))
        model.get_layer(NORMALISE).set_weights(_mean_and_variance(store, rows["clip"].tolist()))
    else:
        model = build_model(model_params, store.spec, len(labels))
    # Unclipped, an LSTM's first steps at a rate of 0.002 can end in a network that always answers the same.
    optimizer = keras.optimizers.Adam(params.learning_rate, clipnorm=1.0)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _training_batches(params: TrainParams, store: Store, rows: pd.DataFrame, labels: list[str]) -> Any:
    return clip_batches(
        store,
        rows,
        labels,
        params.batch_size,
        shuffle_seed=params.seed,
        mirror_seed=params.seed if params.mirror else None,
        balance=params.balance,
    )


def cool(model: Any, temperature: float) -> None:
    """Divides a fitted model's logits by a temperature, in the weights of its last layer.

    So Keras, ONNX and every copy of the model give the same calibrated probabilities without knowing of it.
    """
    last = _last_layer(model)
    last.set_weights([weights / temperature for weights in last.get_weights()])


def _last_layer(model: Any) -> Any:
    head = model if model.name == HEAD else model.get_layer(HEAD)
    return head.get_layer(PROBABILITIES)


def complete(model_params: ModelParams, spec: ClipSpec, model: Any) -> Any:
    """Sets what `train` gave upon its encoder, if that is frozen: the whole way from frames to probabilities."""
    return join(model_params, spec, build_encoder(model_params, spec), model) if model_params.frozen else model


def fitted_part(model: Any, store: Store) -> Any:
    """The part of a whole model that takes what the store holds: what `train` gave."""
    return model.get_layer(HEAD) if isinstance(store, StoredFeatures) else model


def predict(model: Any, store: Store, rows: pd.DataFrame, batch_size: int) -> NDArray[np.float32]:
    """float32 (N, K): a fitted model's probabilities for what its store holds, in the order of the rows."""
    batches = store.batches(rows["clip"].tolist(), batch_size)
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])


def predict_logits(model: Any, store: Store, rows: pd.DataFrame, batch_size: int) -> NDArray[np.float32]:
    """float32 (N, K): what a fitted model's softmax is taken of; else as `predict`."""
    kernel, bias = _last_layer(model).get_weights()
    return np.asarray(predict(state_of(model), store, rows, batch_size) @ kernel + bias)


def epoch_models(model: Any, epoch_weights: Path) -> Iterator[Any]:
    """The model as it was after each epoch, one after the other; `model` itself ends with the last epoch's weights."""
    for file in sorted(epoch_weights.glob("*.weights.h5")):
        model.load_weights(file)
        yield model


def _mean_and_variance(store: Store, clips: list[str]) -> list[NDArray[np.float32]]:
    """Of each feature, over all frames of the clips: float32 (F,) each."""
    count, total, squares = 0, 0.0, 0.0
    for batch in store.batches(clips, 64):
        frames = batch.reshape(-1, batch.shape[-1]).astype(np.float64)
        count += len(frames)
        total = total + frames.sum(axis=0)
        squares = squares + (frames**2).sum(axis=0)
    mean = np.asarray(total / count)
    return [mean.astype(np.float32), (squares / count - mean**2).clip(0).astype(np.float32)]
