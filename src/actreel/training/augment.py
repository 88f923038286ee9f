"""Augmentation: random variants of training clips, as TensorFlow operations on a batch.

All frames of a clip change alike. All random numbers come from a seed through stateless operations, so the same seed
always gives the same clips. The network holds none of this, nor does its saved or ONNX form.
"""

from __future__ import annotations

from typing import Any

from actreel.config import TrainParams
from actreel.quiet_keras import tf


def vary(clips: tf.Tensor, params: TrainParams, seed: tf.Tensor) -> tf.Tensor:
    """Changes each clip in time, and in space and colour if it is of frames.

    Args:
        clips: float32 (B, T, F) features, or (B, T, H, W, 3) frames, RGB in [0, 255].
        params: `speed`, `jitter`, `crop` and `colour`; 0 turns each of them off.
        seed: int (2,).

    Returns:
        float32 of the same shape.
    """
    if params.speed or params.jitter:
        clips = resample_time(clips, params.speed, params.jitter, tf.random.fold_in(seed, 0))
    if clips.shape.rank == 5:
        if params.crop:
            clips = crop(clips, params.crop, tf.random.fold_in(seed, 1))
        if params.colour:
            clips = recolour(clips, params.colour, tf.random.fold_in(seed, 2))
    return clips


def resample_time(clips: tf.Tensor, speed: float, jitter: float, seed: tf.Tensor) -> tf.Tensor:
    """Slows a random part of each clip down to the clip's length, sampled at slightly uneven times.

    Frames are repeated or dropped, never interpolated, and keep their order.

    Args:
        clips: (B, T, ...).
        speed: The part is stretched by 1 to 1 + `speed`.
        jitter: The most frames that each sample is shifted by.
        seed: int (2,).

    Returns:
        As `clips`.
    """
    batch, steps = tf.shape(clips)[0], clips.shape[1]
    slow, start, shift = tf.unstack(tf.random.split(seed, 3))
    length = (steps - 1) / _uniform((batch, 1), 1.0, 1.0 + speed, slow)
    first = _uniform((batch, 1), 0.0, 1.0, start) * (steps - 1 - length)
    positions = first + length * tf.linspace(0.0, 1.0, steps)
    positions = tf.sort(positions + _uniform((batch, steps), -jitter, jitter, shift), axis=1)
    positions = tf.clip_by_value(tf.cast(tf.round(positions), tf.int32), 0, steps - 1)
    return tf.gather(clips, positions, axis=1, batch_dims=1)


def crop(frames: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Cuts off up to a share of the height and width, the same for all frames of a clip, and enlarges the rest.

    Args:
        frames: float32 (B, T, H, W, 3).
        share: The largest share cut off, in [0, 1).
        seed: int (2,).

    Returns:
        float32 (B, T, H, W, 3), bilinear.
    """
    shape = tf.shape(frames)
    zoom, corner_seed = tf.unstack(tf.random.split(seed, 2))
    size = _uniform((shape[0], 1), 1.0 - share, 1.0, zoom)
    corner = _uniform((shape[0], 2), 0.0, 1.0, corner_seed) * (1.0 - size)
    boxes = tf.repeat(tf.concat([corner, corner + size], axis=1), shape[1], axis=0)
    images = tf.reshape(frames, (-1, shape[2], shape[3], 3))
    cut = tf.image.crop_and_resize(images, boxes, tf.range(shape[0] * shape[1]), frames.shape[2:4])
    return tf.reshape(cut, shape)


def recolour(frames: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness, contrast and saturation, each by up to a share and the same for all frames of a clip.

    Args:
        frames: float32 (B, T, H, W, 3), RGB in [0, 255].
        share: In [0, 1): each factor lies within 1 - `share` and 1 + `share`.
        seed: int (2,).

    Returns:
        As `frames`.
    """
    factors = _uniform((3, tf.shape(frames)[0], 1, 1, 1, 1), 1.0 - share, 1.0 + share, seed)
    frames = tf.clip_by_value(frames * factors[0], 0.0, 255.0)
    level = tf.reduce_mean(frames, axis=(1, 2, 3, 4), keepdims=True)
    frames = level + (frames - level) * factors[1]
    grey = tf.image.rgb_to_grayscale(tf.clip_by_value(frames, 0.0, 255.0))
    return tf.clip_by_value(grey + (frames - grey) * factors[2], 0.0, 255.0)


def mix_up(
    clips: tf.Tensor, targets: tuple[tf.Tensor, ...], alpha: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
    """Mixes each clip with the one before it in the batch, and their targets in the same shares (Zhang et al., 2018).

    Args:
        clips: float32 (B, ...).
        targets: float32 (B, ...) each: target probabilities, and weights.
        alpha: Shares are drawn from Beta(alpha, alpha).
        seed: int (2,).

    Returns:
        The mixed clips and targets.
    """
    draws = tf.random.stateless_gamma((2, tf.shape(clips)[0]), seed, alpha)
    share = draws[0] / (draws[0] + draws[1])  # TensorFlow never draws 0

    def mix(values: tf.Tensor) -> tf.Tensor:
        of_each = tf.reshape(share, [-1] + [1] * (values.shape.rank - 1))
        return of_each * values + (1.0 - of_each) * tf.roll(values, 1, axis=0)

    return mix(clips), tuple(map(mix, targets))


def _uniform(shape: Any, low: float, high: float, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, low, high)
