"""Families: networks over space and time at once, in place of an encoder and a head. They take frames, not features."""

from __future__ import annotations

from collections.abc import Callable

from actreel.config import ModelParams
from actreel.models.heads import attend
from actreel.quiet_keras import keras


def convlstm(clips: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
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
    for layer, filters in enumerate((4, 8, 14, 16)):
        x = layers.ConvLSTM2D(filters, 3, activation="tanh", return_sequences=True)(x)
        x = layers.MaxPooling3D((1, 2, 2), padding="same")(x)
        if layer < 3:
            # One mask for all frames of a clip, as in the project.
            x = layers.TimeDistributed(layers.Dropout(params.dropout))(x)
    return layers.Flatten()(x)


def cnn3d_attention_lstm(clips: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """3D convolutions for short motion, an LSTM with attention for long (after Saoudi et al., 2023).

    Pooling leaves time alone, so attention weighs frames.

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
        # With Keras's 0.99, a few hundred steps are too few for the moving statistics: accuracy 0.325 on the demo.
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling3D((1, 2, 2), padding="same")(x)
    x = keras.ops.mean(x, axis=(2, 3))
    x = layers.Dropout(params.dropout)(x)
    states = layers.LSTM(params.units, return_sequences=True, name="lstm")(x)
    return attend(states, params.units)


FAMILIES: dict[str, Callable[[keras.KerasTensor, ModelParams], keras.KerasTensor]] = {
    family.__name__: family for family in (convlstm, cnn3d_attention_lstm)
}
