"""Temporal heads: what turns the features of a clip's frames into one vector."""

from __future__ import annotations

from typing import Any

from actreel.backend import keras
from actreel.config import ModelParams


def lstm(features: Any, params: ModelParams) -> Any:
    """Reads the frames in order (Donahue et al., LRCN, CVPR 2015); gives its last state.

    Args:
        features: float32 (B, T, F).
        params: `units`.

    Returns:
        float32 (B, units).
    """
    return keras.layers.LSTM(params.units, name="lstm")(features)


def mean(features: Any, params: ModelParams) -> Any:
    """Averages the frames: blind to their order, the baseline that a temporal head has to beat.

    A dense layer as wide as the LSTM stands before the mean, so that the two differ in order and in little else.

    Args:
        features: float32 (B, T, F).
        params: `units`.

    Returns:
        float32 (B, units).
    """
    x = keras.layers.Dense(params.units, activation="tanh", name="frame_dense")(features)
    return keras.layers.GlobalAveragePooling1D(name="mean")(x)


HEADS = {"lstm": lstm, "mean": mean}
