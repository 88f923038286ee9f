"""Augmentation: what a training clip may look like instead, as TensorFlow operations on a batch.

All frames of a clip change alike, and all chance is drawn from a seed by stateless operations: the same seed gives the
same clips whatever ran before. None of it is in the network, so a saved model and its ONNX form know nothing of it.
"""

from __future__ import annotations

from typing import Any

from actreel.config import TrainParams
from actreel.quiet_keras import tf


def vary(clips: Any, params: TrainParams, seed: Any) -> Any:
    """Changes each clip in time, and in space and colour if it is of frames.

    Args:
        clips: float32 (B, T, F) features, or (B, T, H, W, 3) frames, RGB in [0, 255].
        params: `speed`, `jitter`, `crop` and `colour`; 0 leaves the clips as they are.
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


def resample_time(clips: Any, speed: float, jitter: float, seed: Any) -> Any:
    """Plays a random part of each clip slower, to the clip's length, from frames that are not quite evenly spaced.

    Frames are repeated or left out, never made up, and never change their order.

    Args:
        clips: (B, T, ...).
        speed: The part is played at 1 to 1 + `speed` times its length.
        jitter: How many frames each may be moved, at most.
        seed: int (2,).

    Returns:
        As `clips`.
    """
    batch, steps = tf.shape(clips)[0], clips.shape[1]
    slow, start, moved = tf.unstack(tf.random.split(seed, 3))
    length = (steps - 1) / _uniform((batch, 1), 1.0, 1.0 + speed, slow)
    first = _uniform((batch, 1), 0.0, 1.0, start) * (steps - 1 - length)
    places = first + length * tf.linspace(0.0, 1.0, steps)
    places = tf.sort(places + _uniform((batch, steps), -jitter, jitter, moved), axis=1)
    places = tf.clip_by_value(tf.cast(tf.round(places), tf.int32), 0, steps - 1)
    return tf.gather(clips, places, axis=1, batch_dims=1)


def crop(frames: Any, share: float, seed: Any) -> Any:
    """Cuts off up to a share of the height and width, the same for all frames of a clip, and enlarges the rest.

    Args:
        frames: float32 (B, T, H, W, 3).
        share: The largest share cut off, in [0, 1).
        seed: int (2,).

    Returns:
        float32 (B, T, H, W, 3), bilinear.
    """
    shape = tf.shape(frames)
    zoom, place = tf.unstack(tf.random.split(seed, 2))
    size = _uniform((shape[0], 1), 1.0 - share, 1.0, zoom)
    corner = _uniform((shape[0], 2), 0.0, 1.0, place) * (1.0 - size)
    boxes = tf.repeat(tf.concat([corner, corner + size], axis=1), shape[1], axis=0)
    images = tf.reshape(frames, (-1, shape[2], shape[3], 3))
    cut = tf.image.crop_and_resize(images, boxes, tf.range(shape[0] * shape[1]), frames.shape[2:4])
    return tf.reshape(cut, shape)


def recolour(frames: Any, share: float, seed: Any) -> Any:
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


def mix_up(clips: Any, aims: tuple[Any, ...], alpha: float, seed: Any) -> tuple[Any, tuple[Any, ...]]:
    """Mixes each clip with the one before it in the batch, and what is aimed at alike (Zhang et al., 2018).

    Args:
        clips: float32 (B, ...).
        aims: float32 (B, ...) each: targets as probabilities, and weights.
        alpha: Shares are drawn from Beta(alpha, alpha).
        seed: int (2,).

    Returns:
        The mixed clips and aims.
    """
    draws = tf.random.stateless_gamma((2, tf.shape(clips)[0]), seed, alpha)
    share = draws[0] / (draws[0] + draws[1])  # TensorFlow keeps tiny draws above 0

    def mix(values: Any) -> Any:
        of_each = tf.reshape(share, [-1] + [1] * (values.shape.rank - 1))
        return of_each * values + (1.0 - of_each) * tf.roll(values, 1, axis=0)

    return mix(clips), tuple(map(mix, aims))


def _uniform(shape: Any, low: float, high: float, seed: Any) -> Any:
    return tf.random.stateless_uniform(shape, seed, low, high)
