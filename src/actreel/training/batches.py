"""Stored clips ▸ tf.data: batches to train and to validate on, prefetched while the model works."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import TrainParams
from actreel.dataset.store import Store
from actreel.errors import ConfigError
from actreel.quiet_keras import tf
from actreel.training import augment
from actreel.training.sides import mirrored_labels
from actreel.training.targets import class_weights, targets_of

log = logging.getLogger(__name__)


def clip_batches(
    store: Store,
    rows: pd.DataFrame,
    labels: list[str],
    batch_size: int,
    *,
    balance: bool = False,
    soft: bool = False,
) -> tf.data.Dataset:
    """Batches of stored clips or their features, without augmentation, in the order of the rows.

    Args:
        store: Frames or features.
        rows: Index rows with `clip` and `action`.
        labels: Actions in the order of the model's outputs.
        batch_size: Clips a batch; the last may be smaller.
        balance: Adds each clip's weight: 1 on average, and the same in sum for every action.
        soft: Gives targets as probabilities.

    Returns:
        A `tf.data.Dataset` of (uint8 (B, T, H, W, 3) or float32 (B, T, F), targets), and float32 (B,) if balanced.
        Targets are int64 (B,), or float32 (B, K) if soft.
    """
    read, targets = _reader(store, rows), targets_of(rows, labels)
    weights = class_weights(targets, len(labels))

    def load(positions: tf.Tensor) -> tuple[tf.Tensor, ...]:
        aims = tf.gather(targets, positions)
        clips = read(positions, tf.zeros_like(positions, tf.bool))
        shown = tf.one_hot(aims, len(labels)) if soft else aims
        return (clips, shown, tf.gather(weights, aims)) if balance else (clips, shown)

    return _untuned(tf.data.Dataset.range(len(rows)).batch(batch_size).map(_traced(load)).prefetch(2))


def training_batches(
    params: TrainParams,
    store: Store,
    rows: pd.DataFrame,
    labels: list[str],
    *,
    first_epoch: int = 0,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """Batches of all epochs in a row: shuffled differently in each, mirrored, augmented and mixed.

    A batch depends on the parameters and its position alone, so a training can resume in the middle.

    Args:
        params: Seed, number of epochs, batch size and augmentation.
        store: Frames or features.
        rows: Index rows with `clip` and `action`.
        labels: Actions in the order of the model's outputs.
        first_epoch: Epochs to skip.
        drop_remainder: Drops the last clips of an epoch if they do not fill a batch.

    Returns:
        A `tf.data.Dataset` like that of `clip_batches`; targets are probabilities if `soft_targets(params)`.

    Raises:
        ConfigError: `train.mirror_as` names an action that is not among the labels.
    """
    read, targets = _reader(store, rows), targets_of(rows, labels)
    weights = class_weights(targets, len(labels))
    dtype = store.take(rows["clip"].tolist()[:1]).dtype
    mirrored_as = mirror_targets(params, labels)
    varied = params.speed or params.jitter or params.crop or params.colour

    def load(number: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, ...]:
        flip, change, mixture = tf.unstack(tf.random.split(tf.stack([tf.cast(params.seed, tf.int64), number]), 3))
        aims = tf.gather(targets, positions)
        images = tf.gather(mirrored_as, aims)
        mirrored = (tf.random.stateless_uniform(tf.shape(positions), flip) < 0.5) & (images >= 0)
        clips = read(positions, mirrored)
        aims = tf.where(mirrored, images, aims)
        balance: tuple[tf.Tensor, ...] = (tf.gather(weights, aims),) if params.balance else ()
        if not soft_targets(params):
            clips = _as_stored(augment.vary(tf.cast(clips, tf.float32), params, change), dtype) if varied else clips
            return clips, aims, *balance
        shown = tf.one_hot(aims, len(labels))
        shown = shown * (1.0 - params.label_smoothing) + params.label_smoothing / len(labels)
        beside = (shown, *balance)
        clips = augment.vary(tf.cast(clips, tf.float32), params, change)
        if params.mixup:
            clips, beside = augment.mix_up(clips, beside, params.mixup, mixture)
        return _as_stored(clips, dtype), *beside

    def batches(order: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(order).batch(params.batch_size, drop_remainder)

    orders = _orders(len(rows), params.seed, params.epochs)[first_epoch:]
    start = first_epoch * steps_an_epoch(params, len(rows), drop_remainder)
    epochs = tf.data.Dataset.from_tensor_slices(orders).flat_map(_traced(batches))
    return _untuned(epochs.enumerate(start).map(_traced(load)).prefetch(2))


def _traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps AutoGraph, which takes long, from rewriting a function: no `if` or `for` in it depends on a tensor."""
    traced: Callable[..., Any] = tf.autograph.experimental.do_not_convert(function)
    return traced


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turns tf.data's autotuner off: it has nothing to tune here, and its sleep delays the end of an iterator.

    It wakes after 10 ms, then after twice as long each time: an iterator of 3 s ended 2 s late.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def steps_an_epoch(params: TrainParams, num_clips: int, drop_remainder: bool = False) -> int:
    """The number of batches that `training_batches` gives in an epoch."""
    steps = num_clips / params.batch_size
    return math.floor(steps) if drop_remainder else math.ceil(steps)


def soft_targets(params: TrainParams) -> bool:
    """Whether targets are probabilities, because they are smoothed or mixed, rather than one action each."""
    return bool(params.mixup or params.label_smoothing)


def _orders(num_clips: int, seed: int, epochs: int) -> NDArray[np.int64]:
    """int64 (epochs, num_clips): the order of the clips in each epoch."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(num_clips) for _ in range(epochs)])


def _reader(store: Store, rows: pd.DataFrame) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Reads clips by their positions in the rows, inside a TensorFlow graph."""
    names = rows["clip"].to_numpy()
    dtype = store.take(names[:1].tolist()).dtype

    def take(positions: NDArray[np.int64], mirrored: NDArray[np.bool_]) -> NDArray[Any]:
        return store.take(names[positions].tolist(), mirrored.tolist())

    def read(positions: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
        clips = tf.numpy_function(take, [positions, mirrored], dtype, stateful=False)
        return tf.ensure_shape(clips, (*positions.shape, *store.input_shape))

    return read


def mirror_targets(params: TrainParams, labels: list[str]) -> NDArray[np.int64]:
    """int64 (K,): the action that a mirrored clip of each action shows, or -1 if it must not be mirrored.

    `train.mirror_as` comes first, then left and right in the names; any other action is its own mirror image.
    """
    if unknown := sorted(({*params.mirror_as} | {*params.mirror_as.values()}) - {*labels, None}, key=str):
        raise ConfigError(
            f"train.mirror_as must name actions of the dataset. Received: {', '.join(map(repr, unknown))}. "
            f"Known here: {', '.join(labels)}."
        )
    if not params.mirror:
        return np.full(len(labels), -1, dtype=np.int64)
    sides = {label: image for label, image in mirrored_labels(labels).items() if label not in params.mirror_as}
    if sides:
        _say_sides(tuple(sides.items()))
    images = [(sides | params.mirror_as).get(label, label) for label in labels]
    return np.array([-1 if image is None else labels.index(image) for image in images], dtype=np.int64)


@cache  # each fold and each head asks again
def _say_sides(sides: tuple[tuple[str, str | None], ...]) -> None:
    swapped = [f"'{label}' as '{image}'" for label, image in sides if image is not None]
    kept = [f"'{label}'" for label, image in sides if image is None]
    parts = [
        f"a mirrored clip of {', '.join(swapped)} counts as the other side" if swapped else "",
        f"clips of {', '.join(kept)} are not mirrored, as no action has the same name with the other side"
        if kept
        else "",
    ]
    log.info(
        f"left and right, found in the actions' names: {'; '.join(filter(None, parts))} (train.mirror_as overrules)"
    )


def _as_stored(clips: tf.Tensor, dtype: np.dtype[Any]) -> tf.Tensor:
    """Rounds frames to whole numbers, which is what the network gets everywhere else; features stay as they are."""
    return tf.saturate_cast(tf.round(clips), dtype) if dtype == np.uint8 else clips
