"""Trains a model on stored clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.faults import TRAIN_AGAIN, reading
from actreel.config import LANDMARK_HEADS, SUM_PROBES, ClipSpec, ModelParams, TrainParams, is_graph, takes_track
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.models import (
    ENCODER,
    HEAD,
    NORMALISE,
    PROBABILITIES,
    build_encoder,
    build_head,
    build_model,
    join,
    unfreeze_last_blocks,
)
from actreel.quiet_keras import keras
from actreel.training.fitting import Fitting, Logs, OnEpoch, Records, fit_network, no_op
from actreel.training.folds import FoldScores, Scored, score_folds
from actreel.training.fusion import repeated, scales_of
from actreel.training.logistic import scaled_variance
from actreel.training.probes import fit_probe, pool
from actreel.training.targets import targets_of as targets_of  # re-exported for callers of train and predict

_FINE_TUNED = "fine_tuned"


def train(
    model_params: ModelParams,
    params: TrainParams,
    store: Store,
    rows: Mapping[str, pd.DataFrame],
    labels: list[str],
    *,
    epoch_weights: Path | None = None,
    resume: Path | None = None,
    on_epoch: OnEpoch = no_op,
    scored: Scored | None = None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Fits a new model, keeping the weights of the epoch with the lowest validation loss.

    The same parameters, clips and machine give the same weights, even if the training was killed and resumed.

    Args:
        model_params: The network.
        params: The run.
        store: The clips' frames, or their features if the encoder is frozen.
        rows: Index rows of the splits `train` and `val`.
        labels: Actions in the order of the model's outputs.
        epoch_weights: Folder for the weights after each epoch, `001.weights.h5` and so on.
        resume: Folder for the training's state, see `resume_folder`; training continues from what it holds.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
        scored: The scores of a probe by its folds are taken from here, and put here if they are missing.

    Returns:
        The fitted `keras.Model` and a table with one row an epoch: `epoch`, `loss`, `accuracy`, `val_loss`,
        `val_accuracy`. The model goes from what the store holds to probabilities (`complete` adds the encoder); a
        fine-tuned one is already whole.

    Raises:
        ConfigError: `train.mirror_as` or `train.batch_size` does not fit the clips or devices.
        ModelError: Training diverged, or fine-tuning has no frames.
    """
    scored = {} if scored is None or params.fine_tune else scored  # fine-tuning keeps the validation clips out

    def fit(
        name: str, rows: pd.DataFrame, val: pd.DataFrame | None, records: Records, epochs: int | None = None
    ) -> tuple[keras.Model, Logs]:
        build = _builder(model_params, store, rows, labels)
        data = Fitting(store, rows, val, labels, scales_of(model_params, store))
        if model_params.is_probe:  # solved faster than its state could be written
            fitted, logs, scored[model_params] = fit_probe(
                build, model_params.head, params, data, records, scored.get(model_params)
            )
            return fitted, logs
        state = resume / f"{name}.npz" if resume else None
        return fit_network(build, params, data, replace(records, state=state), epochs=epochs)

    records = Records(epoch_weights=epoch_weights, on_epoch=on_epoch)
    if model_params.is_probe and not params.fine_tune:
        fitted, logs = fit("fit", pd.concat([rows["train"], rows["val"]], ignore_index=True), None, records)
    else:
        fitted, logs = fit("fit", rows["train"], rows["val"], records)
    if params.refit and not model_params.is_probe:
        best = int(np.nan_to_num([epoch["val_loss"] for epoch in logs], nan=np.inf).argmin()) + 1
        both = pd.concat([rows["train"], rows["val"]], ignore_index=True)
        fitted, _ = fit("refit", both, None, Records(), best)
    if params.fine_tune:
        records = Records(
            state=resume / "fine_tune.npz" if resume else None,
            epoch_weights=epoch_weights,
            prefix=f"{_FINE_TUNED}-",
            on_epoch=lambda epoch, metrics: on_epoch(done + epoch, metrics),
        )
        done = len(logs)
        data = Fitting(store, rows["train"], rows["val"], labels)
        fitted, more = _fine_tune(model_params, params, data, fitted, records)
        logs += more
    curve = pd.DataFrame(logs)
    curve.insert(0, "epoch", np.arange(1, len(curve) + 1))
    return fitted, curve


def score_probe(
    model_params: ModelParams,
    params: TrainParams,
    store: Store,
    rows: pd.DataFrame,
    labels: list[str],
    *,
    coarse: bool = False,
) -> FoldScores:
    """What the solutions of a probe's folds say of held-out groups, as `train` would find it.

    Args:
        model_params: A network whose head is a probe.
        params: As for `train`.
        store: The features of the clips.
        rows: Index rows of the clips.
        labels: As for `train`.
        coarse: Tries every other penalty, and none after the loss has risen.

    Raises:
        ConfigError: `train.mirror_as` does not fit the labels.
        ModelError: There are no features, or too few groups or actions to hold out a part.
    """
    (scores,) = score_fusions([model_params], params, store, rows, labels, coarse=coarse)
    return scores


def score_fusions(
    candidates: Sequence[ModelParams],
    params: TrainParams,
    store: Store,
    rows: pd.DataFrame,
    labels: list[str],
    *,
    coarse: bool = False,
) -> Iterator[FoldScores]:
    """As `score_probe`, for networks that differ in `fusion` only, so that their clips are pooled once."""
    model = _builder(candidates[0], store, rows, labels)()
    clips = pool(model, candidates[0].head, params, Fitting(store, rows, None, labels))
    for candidate in candidates:
        scaled = replace(clips, scales=repeated(scales_of(candidate, store), clips.features.shape[1]))
        yield score_folds(scaled, scaled.solver.PATH[::2], patience=1) if coarse else score_folds(scaled)


def _builder(
    model_params: ModelParams, store: Store, rows: pd.DataFrame, labels: list[str]
) -> Callable[[], keras.Model]:
    """Gives a function that builds a new network for what the store holds."""
    if not store.holds_features:
        return lambda: build_model(model_params, store.spec, len(labels))
    if model_params.head in LANDMARK_HEADS:  # it takes features as they are
        return lambda: build_head(model_params, store.input_shape, len(labels))
    if model_params.head in SUM_PROBES:
        return lambda: build_sum_head(model_params, store.input_shape, len(labels))
    mean, variance = _mean_and_variance(store, rows["clip"].tolist())
    scales = scales_of(model_params, store)
    if scales is not None and not model_params.is_probe:  # a probe's features are scaled once pooled
        variance = scaled_variance(variance, scales)

    def build() -> keras.Model:
        model = build_head(model_params, store.input_shape, len(labels))
        model.get_layer(NORMALISE).set_weights([mean, variance])
        return model

    return build


def build_sum_head(model_params: ModelParams, input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Builds a probe of sums, which pools features as they are: the same function of a clip, whatever the others."""
    model = build_head(model_params, input_shape, num_classes)
    normalise = model.get_layer(NORMALISE)
    zeros = np.zeros(input_shape[-1], np.float32)
    normalise.set_weights([zeros, zeros + np.float32(1 - normalise.epsilon)])
    return model


def _fine_tune(
    model_params: ModelParams, params: TrainParams, data: Fitting, head: keras.Model, records: Records
) -> tuple[keras.Model, Logs]:
    """Trains the encoder's last blocks with the head; keeps the old weights if no epoch lowers the validation loss."""
    frames = data.store.frames
    if frames is None:
        raise ModelError("train.fine_tune trains on frames. Received: features without them. Try: open_inputs")

    def build() -> keras.Model:
        encoder = build_encoder(model_params, frames.spec)
        unfreeze_last_blocks(encoder, params.fine_tune)
        new_head = build_head(model_params, data.store.input_shape, len(data.labels))
        new_head.set_weights(head.get_weights())
        return join(model_params, frames.spec, encoder, new_head)

    changes = {"epochs": params.fine_tune_epochs, "learning_rate": params.fine_tune_rate}
    tuning = params.model_copy(update=changes | {"schedule": "constant", "warmup": 0})
    return fit_network(build, tuning, replace(data, store=frames), records, improve=True)


def apply_temperature(model: keras.Model, temperature: float) -> None:
    """Divides a fitted model's logits by a temperature, in the weights of its last layer.

    Keras, ONNX and every copy of the model then give the same calibrated probabilities.
    """
    head = model if model.name == HEAD else model.get_layer(HEAD)
    last = head.get_layer(PROBABILITIES)
    last.set_weights([weights / temperature for weights in last.get_weights()])


def complete(model_params: ModelParams, spec: ClipSpec, model: keras.Model) -> keras.Model:
    """Joins a head from `train` to its encoder.

    A model that is already whole stays as it is, and so does a head on an encoder that Keras does not know, or on a
    track, which comes encoded.
    """
    if model.name != HEAD or is_graph(model_params.encoder) or takes_track(model_params.encoder):
        return model
    return join(model_params, spec, build_encoder(model_params, spec), model)


def load_keras(file: Path) -> keras.Model:
    """Loads a network that the stage train saved.

    Raises:
        FileError: The file is missing or damaged.
    """
    with reading(file, TRAIN_AGAIN):
        return keras.models.load_model(file)


def fitted_part(model: keras.Model, store: Store) -> keras.Model:
    """The part of a whole model that `train` fitted: its head, if the store holds features of this very encoder.

    A head on an encoder that Keras does not know, or on a track, is all that there is.
    """
    if model.name == HEAD:
        return model
    own = store.holds_features and not model.get_layer(ENCODER).trainable_weights
    return model.get_layer(HEAD) if own else model


def predict(model: keras.Model, store: Store, rows: pd.DataFrame, batch_size: int) -> NDArray[np.float32]:
    """float32 (N, K): a fitted model's probabilities (or other output), in the order of the rows.

    A fine-tuned model gets the frames that the store's features were computed from.
    """
    takes_frames = tuple(model.input.shape[1:]) != store.input_shape
    if takes_frames and store.frames is not None:
        store = store.frames
    batches = store.batches(rows["clip"].tolist(), batch_size)
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])


def curve_folder(training: Path, network: ModelParams) -> Path:
    """The folder in `training` for a network's `curve.csv` and the folder `epochs` with its weights."""
    return training if network.sees_order else training / "order_blind"


def epoch_models(model: keras.Model, epoch_weights: Path) -> Iterator[keras.Model]:
    """Yields the model after each epoch: always the same copy, with other weights.

    The first epochs of a fine-tuned model give its head alone, which was trained on the features of the frozen encoder.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    tuned = sorted(epoch_weights.glob(f"{_FINE_TUNED}-*.weights.h5"), key=_epoch_of)
    part = copy.get_layer(HEAD) if tuned else copy
    for file in sorted(epoch_weights.glob("[0-9]*.weights.h5"), key=_epoch_of):
        with reading(file, TRAIN_AGAIN):
            part.load_weights(file)
        yield part
    for file in tuned:
        with reading(file, TRAIN_AGAIN):
            copy.load_weights(file)
        yield copy


def _epoch_of(weights: Path) -> int:
    # Names have three digits, so that of epoch 1000 sorts before that of epoch 999.
    return int(weights.name.partition(".")[0].rpartition("-")[2])


def _mean_and_variance(store: Store, clips: list[str]) -> list[NDArray[np.float32]]:
    """Of each feature, over all frames of the clips: float32 (F,) each."""
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for batch in store.batches(clips, 64):
        frames = batch.reshape(-1, batch.shape[-1]).astype(np.float64)
        count += len(frames)
        total = total + frames.sum(axis=0)
        squares = squares + (frames**2).sum(axis=0)
    mean = np.asarray(total / count)
    return [mean.astype(np.float32), (squares / count - mean**2).clip(0).astype(np.float32)]
