"""Families that look at space and time at once, in place of an encoder and a head: they take frames, not features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actreel.config import ModelParams
from actreel.models.heads import attend
from actreel.quiet_keras import keras


def convlstm(clips: Any, params: ModelParams) -> Any:
    """The ConvLSTM of the project on UCF50 beside its LRCN: four layers of 4, 8, 14 and 16 filters.

    Shi et al., NeurIPS 2015. Each layer but the last is pooled by 2 and followed by dropout.

    Args:
        clips: float32 (B, T, H, W, C) in [0, 1].
        params: `dropout`.

    Returns:
        float32 (B, D).
    """
    layers = keras.layers
    x = clips
    for place, filters in enumerate((4, 8, 14, 16)):
        x = layers.ConvLSTM2D(filters, 3, activation="tanh", return_sequences=True)(x)
        x = layers.MaxPooling3D((1, 2, 2), padding="same")(x)
        if place < 3:
            # One mask a clip, the same for all its frames, as the project drops whole maps.
            x = layers.TimeDistributed(layers.Dropout(params.dropout))(x)
    return layers.Flatten()(x)


def cnn3d_attention_lstm(clips: Any, params: ModelParams) -> Any:
    """3D convolutions for short motion, an LSTM with attention for long (after Saoudi et al., 2023).

    Time is kept whole by the pooling, so attention weighs frames.

    Args:
        clips: float32 (B, T, H, W, C) in [0, 1].
        params: `units` of the LSTM, `dropout`.

    Returns:
        float32 (B, units).
    """
    layers = keras.layers
    x = clips
    for filters in (16, 32, 64):
        x = layers.Conv3D(filters, 3, padding="same", use_bias=False)(x)
        # At Keras's 0.99, a few hundred steps are over before what it normalises by is known: 0.325 on the demo.
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling3D((1, 2, 2), padding="same")(x)
    x = keras.ops.mean(x, axis=(2, 3))
    x = layers.Dropout(params.dropout)(x)
    states = layers.LSTM(params.units, return_sequences=True, name="lstm")(x)
    return attend(states, params.units)


FAMILIES: dict[str, Callable[[Any, ModelParams], Any]] = {
    family.__name__: family for family in (convlstm, cnn3d_attention_lstm)
}
