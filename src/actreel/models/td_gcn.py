"""TD-GCN: a graph convolution whose graph differs from channel to channel, and from frame to frame.

Liu et al., "Temporal Decoupling Graph Convolutional Network for Skeleton-based Gesture Recognition", IEEE Transactions
on Multimedia, 2023. Layers, widths, paddings and initial weights follow the authors' code (github.com, repository
`liujf69/TD-GCN-Gesture`, model/tdgcn.py), without its second 1x1 convolution that takes no part in the result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actreel.config import TD_GCN_STEP
from actreel.models.heads import learned
from actreel.quiet_keras import keras

LAYERS = ((1, 1),) * 4 + ((2, 2),) + ((2, 1),) * 2 + ((4, 2),) + ((4, 1),) * 2
"""The width of each layer, in units, and its stride over time."""

_TAPS = 5
"""Of a convolution over time."""
_FIRST_RELATIONS = 8
"""Channels that the first layer compares joints in."""
_START = np.array([[0.0], [0.5], [0.1]], np.float32)
"""How much the channels' graphs add to the learned one, and how much they and the frames' graphs count."""


def td_gcn_network(x: keras.KerasTensor, units: int, graph: NDArray[np.float32]) -> keras.KerasTensor:
    """The network without its last layer.

    Args:
        x: float32 (B, T, V, C), channels of joints.
        units: Width of the first four layers, a multiple of 8; the published one is 64.
        graph: float32 (S, V, V), the graphs that it starts from: what the row's joint takes from the column's.

    Returns:
        float32 (B, D), as wide as the last layer.
    """
    _, frames, joints, channels = x.shape
    x = keras.ops.reshape(x, (-1, frames, joints * channels))
    x = keras.ops.reshape(_norm(x), (-1, frames, joints, channels))
    for number, (times, stride) in enumerate(LAYERS):
        width = times * units
        y = _over_time(_over_joints(x, width, graph, f"graph{number}"), width, stride)
        if number:
            y = y + (x if (channels, stride) == (width, 1) else _norm(_dense(x[:, ::stride], width)))
        x, channels = keras.layers.ReLU()(y), width
    return keras.ops.mean(x, axis=(1, 2))


def _over_joints(x: keras.KerasTensor, width: int, graph: NDArray[np.float32], name: str) -> keras.KerasTensor:
    """The sum of a temporally decoupled graph convolution for each of the graphs, beside a shortcut."""
    ops, joints = keras.ops, x.shape[2]
    like = x[:, 0]
    shares = learned(len(_START), 1, like, f"{name}_shares", _START)
    alpha, beta, gamma = (shares[:, number, :, None, None] for number in range(3))
    first = x.shape[-1] < TD_GCN_STEP
    relations = _FIRST_RELATIONS if first else x.shape[-1] // TD_GCN_STEP
    total = None
    for number, links in enumerate(graph):
        compared = ops.mean(_dense(x, relations, f"{name}_{number}_relations"), axis=1)
        values = _dense(x, width, f"{name}_{number}_values")
        # A graph for each channel, the same in all frames.
        apart = ops.tanh(compared[:, :, None] - compared[:, None])
        fixed = learned(joints, joints, like, f"{name}_{number}_links", links)[..., None]
        refined = _dense(apart, width, f"{name}_{number}_channels") * alpha + fixed
        by_channel = ops.transpose(refined, (0, 3, 2, 1))
        spread = ops.matmul(ops.transpose(values, (0, 3, 1, 2)), by_channel)
        # A graph for each frame, the same in all channels.
        level = ops.mean(values, axis=-1)
        by_frame = ops.tanh(level[..., :, None] - level[..., None, :])
        one = ops.transpose(spread, (0, 2, 3, 1)) * beta + ops.matmul(by_frame, values) * gamma
        total = one if total is None else total + one
    shortcut = x if x.shape[-1] == width else _norm(_dense(x, width))
    # Starts as the shortcut alone.
    return keras.layers.ReLU()(_norm(total, 1e-6, f"{name}_norm") + shortcut)


def _over_time(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    """Four branches: two convolutions over time, of which one is dilated, the largest neighbour, and the frame."""
    ops, frames = keras.ops, x.shape[1]

    def neighbours(y: keras.KerasTensor, reach: int, step: int) -> list[keras.KerasTensor]:
        around = ops.pad(y, ((0, 0), (reach, reach), (0, 0), (0, 0)))
        return [around[:, start : start + frames : stride] for start in range(0, 2 * reach + 1, step)]

    branch = width // 4
    parts = []
    for dilation in (1, 2):
        y = keras.layers.ReLU()(_norm(_dense(x, branch)))
        # All taps side by side: Keras has no convolution with both a stride and a dilation.
        taps = ops.concatenate(neighbours(y, _TAPS // 2 * dilation, dilation), axis=-1)
        parts.append(_norm(keras.layers.Dense(branch, kernel_initializer="he_normal")(taps)))
    before, here, after = neighbours(keras.layers.ReLU()(_norm(_dense(x, branch))), 1, 1)
    parts.append(_norm(ops.maximum(ops.maximum(before, here), after)))
    parts.append(_norm(_dense(x[:, ::stride], branch)))
    return ops.concatenate(parts, axis=-1)


def _dense(x: keras.KerasTensor, width: int, name: str | None = None) -> keras.KerasTensor:
    start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return keras.layers.Dense(width, kernel_initializer=start, name=name)(x)


def _norm(x: keras.KerasTensor, start: float = 1.0, name: str | None = None) -> keras.KerasTensor:
    """Batch normalisation with PyTorch's settings."""
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=keras.initializers.Constant(start), name=name
    )(x)
