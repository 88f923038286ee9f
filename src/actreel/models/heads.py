"""Temporal heads: they turn the features of a clip's frames into one vector."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from actreel.config import ModelParams
from actreel.quiet_keras import keras

CLIP_NORMALISE = "normalise_clip"
_FLOOR = 1e-3
"""Added to a variance before its root is taken: Keras's default."""
_SUM_FLOOR = 1e-6
"""As `actreel.training.ridge` adds."""

# Each takes float32 (B, T, F) and gives float32 (B, D); `params.units` is its width, `params.dropout` its dropout.


def mean(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Averages the frames and so ignores their order: the baseline that a temporal head has to beat.

    A dense layer as wide as the LSTM comes before the mean, so the two differ in little but the use of order.
    """
    x = keras.layers.Dense(params.units, activation="tanh", name="frame_dense")(features)
    return keras.layers.GlobalAveragePooling1D(name="mean_over_time")(x)


def statistics(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Each feature's mean, standard deviation and slope over time, and a linear layer: `units`.

    On a frozen encoder, everything trained is linear, and a few dozen clips are enough. The layer keeps the clip's
    embedding narrow.
    """
    return keras.layers.Dense(params.units, name="clip_dense")(_statistics_over_time(features))


def mean_probe(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """The features' mean over time, unchanged, for a linear classifier; it ignores order."""
    return _normalise_clip(keras.ops.mean(features, axis=1))


def statistics_probe(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Each feature's mean, standard deviation and slope over time, unchanged, for a linear classifier."""
    return _normalise_clip(_statistics_over_time(features))


def moments_probe(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Each feature's mean, standard deviation and mean absolute change from frame to frame, for a linear classifier.

    It sees how much and how fast a feature moves, the same forwards and backwards.
    """
    ops = keras.ops
    level, _, spread = _level_and_spread(features)
    changes = ops.sum(ops.abs(features[:, 1:] - features[:, :-1]), axis=1) / max(1, features.shape[1] - 1)
    return _normalise_clip(ops.concatenate([level, spread, changes], axis=-1))


def ridge_probe(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """As `statistics_probe`, for features as the encoder gives them, on the scale that all places share."""
    return _normalise_clip(_statistics_over_time(features), _SUM_FLOOR)


def lda_probe(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """The same as `ridge_probe`; what solves the last layer differs."""
    return ridge_probe(features, params)


def _statistics_over_time(features: keras.KerasTensor) -> keras.KerasTensor:
    """float32 (B, T, F) to (B, 3 F): mean, deviation and slope over time.

    Mean and deviation ignore order, so each feature's slope over time is added (after rank pooling, Fernando et al.,
    CVPR 2015).
    """
    ops = keras.ops
    level, centred, spread = _level_and_spread(features)
    # Counted from the input: Keras exports a constant as an extra input of the ONNX graph.
    steps = ops.cumsum(ops.ones_like(features[:, :, :1]), axis=1)
    steps = steps - ops.mean(steps, axis=1, keepdims=True)
    length = ops.sqrt(ops.mean(steps**2, axis=1) + 1e-6)
    slope = ops.mean(centred * steps, axis=1) / length
    return ops.concatenate([level, spread, slope], axis=-1)


def _level_and_spread(features: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Statistics pooling (Snyder et al., ICASSP 2018): mean, features around it, and standard deviation over time."""
    level = keras.ops.mean(features, axis=1, keepdims=True)
    centred = features - level
    return level[:, 0], centred, keras.ops.sqrt(keras.ops.mean(centred**2, axis=1) + 1e-6)


def _normalise_clip(x: keras.KerasTensor, floor: float = _FLOOR) -> keras.KerasTensor:
    """To mean 0 and variance 1 over the training clips; `fit_probe` sets its statistics, gradients never change it."""
    return keras.layers.BatchNormalization(
        epsilon=floor, center=False, scale=False, trainable=False, name=CLIP_NORMALISE
    )(x)


def lstm(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Reads the frames in order (Donahue et al., LRCN, CVPR 2015); gives its last state."""
    return keras.layers.LSTM(params.units, name="lstm")(features)


def bilstm(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Reads the frames in both directions; gives both last states, 2 x `units`."""
    return keras.layers.Bidirectional(keras.layers.LSTM(params.units), name="bilstm")(features)


def gru(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """As `lstm`, with one gate fewer (Cho et al., EMNLP 2014)."""
    return keras.layers.GRU(params.units, name="gru")(features)


def attention_lstm(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """An LSTM whose states are averaged by learned weights (Bahdanau's additive scores, one query).

    The weights are the output of the layer `attention`, float32 (B, T, 1).
    """
    states = keras.layers.LSTM(params.units, return_sequences=True, name="lstm")(features)
    return attend(states, params.units)


def temporal_conv(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Dilated convolutions over time with shortcuts (Bai et al., 2018), then the maximum over time."""
    layers = keras.layers
    x = layers.Dense(params.units, name="frame_dense")(features)
    for dilation in (1, 2, 4):
        y = layers.LayerNormalization()(x)
        y = layers.Conv1D(params.units, 3, padding="same", dilation_rate=dilation, activation="relu")(y)
        x = layers.add([x, layers.Dropout(params.dropout)(y)])
    return layers.GlobalMaxPooling1D()(layers.LayerNormalization()(x))


def transformer(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Two pre-norm encoder blocks over frames with learned positions (Vaswani et al., 2017); gives their mean."""
    layers = keras.layers
    x = layers.Dense(params.units, name="frame_dense")(features)
    x = x + learned(features.shape[1], params.units, features, "positions")
    for _ in range(2):
        x = attention_block(x, params)
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))


def attention_block(x: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """A pre-norm encoder block (Vaswani et al., 2017; Xiong et al., ICML 2020): float32 (B, N, `units`) to the same."""
    layers = keras.layers
    heads = 4 if params.units % 4 == 0 else 1
    y = layers.LayerNormalization()(x)
    y = layers.MultiHeadAttention(heads, params.units // heads, dropout=params.dropout)(y, y)
    x = layers.add([x, y])
    y = layers.LayerNormalization()(x)
    y = layers.Dense(2 * params.units, activation="relu")(y)
    return layers.add([x, layers.Dropout(params.dropout)(layers.Dense(params.units)(y))])


def learned(
    size: int, width: int, like: keras.KerasTensor, name: str, start: NDArray[np.float32] | None = None
) -> keras.KerasTensor:
    """A table of weights, the same for each clip: float32 (B, size, width).

    Args:
        size: Rows.
        width: Columns.
        like: float32 (B, T, F); only its batch size counts.
        name: Of the layer.
        start: float32 (size, width), the weights to begin with; random if None.
    """
    # All rows of an embedding, since Keras has no layer that only holds weights. They are counted from an input: Keras
    # exports a constant as an extra input of the ONNX graph.
    one = keras.ops.ones_like(like[:, 0, :1], dtype="int32")
    rows = keras.ops.cumsum(keras.ops.tile(one, (1, size)), axis=1) - 1
    layer = keras.layers.Embedding(size, width, name=name)
    table = layer(rows)
    if start is not None:
        layer.set_weights([start])
    return table


def attend(states: keras.KerasTensor, units: int) -> keras.KerasTensor:
    """Averages states over time by learned weights: float32 (B, T, D) to (B, D)."""
    scores = keras.layers.Dense(units, activation="tanh")(states)
    scores = keras.layers.Dense(1, use_bias=False)(scores)
    weights = keras.layers.Softmax(axis=1, name="attention")(scores)
    return keras.ops.sum(states * weights, axis=1)


HEADS: dict[str, Callable[[keras.KerasTensor, ModelParams], keras.KerasTensor]] = {
    head.__name__: head
    for head in (
        mean, statistics, lstm, bilstm, gru, attention_lstm, temporal_conv, transformer,
        mean_probe, moments_probe, statistics_probe, ridge_probe, lda_probe,
    )
}  # fmt: skip
