"""Frame encoders: what turns each frame into a feature vector."""

from __future__ import annotations

from typing import Any

from actreel.backend import keras
from actreel.config import ModelParams


def small_cnn(frames: Any, params: ModelParams) -> Any:
    """The CNN of the LRCN project on UCF50: 16, 32, 64 and 64 filters, pooled by 4, 4, 2 and 2.

    The pooling is cut short where a frame is too small for it.

    Args:
        frames: float32 (N, H, W, 3) in [0, 1].
        params: `dropout`, after each pooling but the last.

    Returns:
        float32 (N, F); F is 64 for frames of 64 pixels.
    """
    layers = keras.layers
    x = frames
    for stage, (filters, pool) in enumerate(((16, 4), (32, 4), (64, 2), (64, 2))):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{stage + 1}")(x)
        x = layers.MaxPooling2D((min(pool, x.shape[1]), min(pool, x.shape[2])))(x)
        if stage < 3:
            x = layers.Dropout(params.dropout)(x)
    return layers.Flatten()(x)


ENCODERS = {"small_cnn": small_cnn}
