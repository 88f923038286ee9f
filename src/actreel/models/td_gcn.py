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
    """The sum of a temporally decoupled graph convolution for each of the graphs, beside a shortcut.

    What differs from graph to graph by its weights alone is one operation for all of them: with operations of its own
    for each, the first step of training took twice as long.
    """
    ops, graphs = keras.ops, len(graph)
    _, frames, joints, taken = x.shape
    like = x[:, 0]
    shares = learned(len(_START), 1, like, f"{name}_shares", _START)
    alpha, beta, gamma = (shares[:, number, :, None, None] for number in range(3))
    values = _dense(x, width, f"{name}_values", graphs)
    # A graph for each channel, the same in all frames: (B, S, D, V, V), from the joint of the row.
    relations = _FIRST_RELATIONS if taken < TD_GCN_STEP else taken // TD_GCN_STEP
    compared = ops.transpose(ops.mean(_dense(x, relations, f"{name}_relations", graphs), axis=1), (0, 2, 1))
    apart = ops.reshape(ops.tanh(compared[:, :, None] - compared[..., None]), (-1, graphs, relations, joints**2))
    table = learned(graphs * width, relations + 1, like, f"{name}_channels", _channel_weights(graphs, width, relations))
    table = ops.reshape(table, (-1, graphs, width, relations + 1))
    by_channel = ops.reshape(ops.matmul(table[..., :-1], apart), (-1, graphs, width, joints, joints))
    sent = ops.transpose(ops.reshape(values, (-1, frames, joints, graphs, width)), (0, 3, 4, 1, 2))
    # The bias of a graph is the same for all its links.
    biased = table[..., -1:, None] * ops.sum(sent, axis=-1, keepdims=True)
    spread = ops.sum(ops.matmul(sent, by_channel) + biased, axis=1)
    # A graph for each frame, and the learned one, the same in all channels: (B, T, V, V S), to the joint of the row.
    values = ops.reshape(values, (-1, frames, joints * graphs, width))
    level = ops.reshape(ops.mean(values, axis=-1), (-1, frames, joints, graphs))
    by_frame = ops.tanh(level[:, :, :, None] - level[:, :, None])
    start = graph.transpose(1, 2, 0).reshape(joints, joints * graphs)
    links = learned(joints, joints * graphs, like, f"{name}_links", start)[:, None]
    by_frame = ops.reshape(by_frame, (-1, frames, joints, joints * graphs)) * gamma + links * beta
    total = ops.transpose(spread, (0, 2, 3, 1)) * (alpha * beta) + ops.matmul(by_frame, values)
    shortcut = x if taken == width else _norm(_dense(x, width))
    # Starts as the shortcut alone.
    return keras.layers.ReLU()(_norm(total, 1e-6, f"{name}_norm") + shortcut)


def _channel_weights(graphs: int, width: int, relations: int) -> NDArray[np.float32]:
    """float32 (S D, R + 1): what a layer for each graph starts with, a row of R weights and a bias for each channel."""
    start = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    # Of the transposed weights, what goes in is what comes out of the layer.
    weights = np.concatenate([np.asarray(start((width, relations))) for _ in range(graphs)])
    return np.concatenate([weights, np.zeros((graphs * width, 1), np.float32)], axis=1)


def _over_time(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    """Four branches: two convolutions over time, of which one is dilated, the largest neighbour, and the frame."""
    ops, frames = keras.ops, x.shape[1]

    def neighbours(y: keras.KerasTensor, reach: int, step: int) -> list[keras.KerasTensor]:
        around = ops.pad(y, ((0, 0), (reach, reach), (0, 0), (0, 0)))
        return [around[:, start : start + frames : stride] for start in range(0, 2 * reach + 1, step)]

    branch = width // 4
    # Normalised channel by channel: together or one by one is the same.
    near, far, largest = ops.split(keras.layers.ReLU()(_norm(_dense(x, branch, times=3))), 3, axis=-1)
    parts = []
    for y, dilation in ((near, 1), (far, 2)):
        # All taps side by side: Keras has no convolution with both a stride and a dilation.
        taps = ops.concatenate(neighbours(y, _TAPS // 2 * dilation, dilation), axis=-1)
        parts.append(keras.layers.Dense(branch, kernel_initializer="he_normal")(taps))
    before, here, after = neighbours(largest, 1, 1)
    parts += [ops.maximum(ops.maximum(before, here), after), _dense(x[:, ::stride], branch)]
    return _norm(ops.concatenate(parts, axis=-1))


def _dense(x: keras.KerasTensor, width: int, name: str | None = None, times: int = 1) -> keras.KerasTensor:
    """As many layers as `times` side by side, each with the authors' initial weights for its `width`."""
    start = keras.initializers.VarianceScaling(2.0 * times, "fan_out", "untruncated_normal")
    return keras.layers.Dense(times * width, kernel_initializer=start, name=name)(x)


def _norm(x: keras.KerasTensor, start: float = 1.0, name: str | None = None) -> keras.KerasTensor:
    """Batch normalisation with PyTorch's settings."""
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=keras.initializers.Constant(start), name=name
    )(x)
