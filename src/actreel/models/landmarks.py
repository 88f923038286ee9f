"""Heads on landmarks: they know which of a frame's features belong to one joint. They need the encoder `pose`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from actreel.config import ModelParams
from actreel.models.heads import attention_block, learned
from actreel.models.td_gcn import td_gcn_network
from actreel.quiet_keras import keras

CHANNELS = 4
"""Of each joint x, y, z and visibility; see `actreel.training.pose.geometry`."""

CHAINS = (
    (33, 23, 25, 27, 29, 31), (33, 24, 26, 28, 30, 32), (23, 11, 13, 15, 17), (24, 12, 14, 16, 18), (15, 19), (15, 21),
    (16, 20), (16, 22), (11, 0), (12, 0), (0, 1, 2, 3, 7), (0, 4, 5, 6, 8), (0, 9), (0, 10),
)  # fmt: skip
"""BlazePose's landmarks from the hips to toes, fingers and ears. The root, 33, is where the hips are in the frame."""

_HIDDEN, _SEEN = 0.25, 0.75
"""A joint of this visibility does not count, and counts in full. Between them it counts in part, so that the last digit
of a visibility never decides."""

SIDE = 24
"""Of a heat map, in pixels."""
REACH = 2.5
"""What a heat map shows on each side of the hips, in lengths of the torso: a standing person with raised hands."""
SPREAD = 1.0
"""Standard deviation of the spot around a joint, in pixels."""

# Each head takes float32 (B, T, F), features of `pose`, and gives float32 (B, D), as those in `heads` do.


def skeleton_transformer(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """Attention among the joints of each frame, then among the frames; gives the action's token, `units`.

    Space and time one after the other as in ST-TR (Plizzari et al., 2021); a learned token beside those of the frames
    gathers the action, as in AcT (Mazzia et al., "Action Transformer", Pattern Recognition 2022).
    """
    layers, ops = keras.layers, keras.ops
    x = joint_channels(*joints_of(features), params.motion)
    _, frames, joints, _ = x.shape
    x = layers.Dense(params.units, name="joint_dense")(x)
    x = x + learned(joints, params.units, features, "joints")[:, None]
    x = attention_block(ops.reshape(x, (-1, joints, params.units)), params)
    x = ops.reshape(ops.mean(x, axis=1), (-1, frames, params.units))
    x = ops.concatenate([learned(1, params.units, features, "action"), x], axis=1)
    x = x + learned(1 + frames, params.units, features, "positions")
    for _ in range(2):
        x = attention_block(x, params)
    return layers.Dropout(params.dropout)(layers.LayerNormalization()(x)[:, 0])


def td_gcn(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """TD-GCN (Liu et al., 2023) over the joints: a graph for each frame and each channel; gives 4 x `units`.

    With 64 units its layers are as wide as the published ones.
    """
    x = joint_channels(*joints_of(features), params.motion)
    x = td_gcn_network(x, params.units, body_graph(x.shape[2], CHAINS))
    return keras.layers.Dropout(params.dropout)(x)


def heatmap_cnn(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """A stack of heat maps, one for each joint and frame, seen by a CNN of eight layers; gives 4 x `units`.

    After PoseConv3D (Duan et al., CVPR 2022), which also convolves over time in the later layers only.
    """
    layers, ops = keras.layers, keras.ops
    maps = heat_maps(*joints_of(features))
    if params.motion == "difference":
        change = maps[:, 1:] - maps[:, :-1]
        maps = ops.concatenate([maps, ops.concatenate([ops.zeros_like(maps[:, :1]), change], axis=1)], axis=-1)
    x = ops.reshape(maps, (-1, *maps.shape[2:]))
    for width in (params.units, 2 * params.units):
        for _ in range(2):
            x = _normed(layers.Conv2D(width, 3, padding="same", use_bias=False)(x))
        x = layers.MaxPooling2D(2)(x)
    x = ops.reshape(x, (-1, maps.shape[1], *x.shape[1:]))
    for stage in range(2):
        for _ in range(2):
            x = _normed(layers.Conv3D(4 * params.units, 3, padding="same", use_bias=False)(x))
        if stage == 0:
            x = layers.MaxPooling3D((1, 2, 2))(x)
    return layers.Dropout(params.dropout)(ops.mean(x, axis=(1, 2, 3)))


def _normed(x: keras.KerasTensor) -> keras.KerasTensor:
    # With Keras's 0.99, a few hundred steps are too few for the moving statistics.
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))


def joints_of(features: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """A frame's features by joint.

    The last joint is the place of the hips in the frame, with the torso's length there as z, and visible if there is a
    person: what is relative to the hips does not say where the body goes.

    Args:
        features: float32 (B, T, F), as the encoder `pose` gives them.

    Returns:
        Places, float32 (B, T, V, 3), and how much each joint counts, float32 (B, T, V, 1) from 0 to 1.
    """
    _, frames, size = features.shape
    joints = keras.ops.reshape(features, (-1, frames, size // CHANNELS, CHANNELS))
    seen = keras.ops.clip((joints[..., 3:] - _HIDDEN) / (_SEEN - _HIDDEN), 0.0, 1.0)
    return joints[..., :3], seen


def joint_channels(places: keras.KerasTensor, seen: keras.KerasTensor, motion: str) -> keras.KerasTensor:
    """What a network sees of each joint: its place and how much it counts, and with `motion` its velocity.

    A hidden joint is zeros; a velocity counts as much as the joint does in both frames.

    Returns:
        float32 (B, T, V, 4), or (B, T, V, 7).
    """
    ops = keras.ops
    channels = [places * seen, seen]
    if motion == "difference":
        velocity = (places[:, 1:] - places[:, :-1]) * seen[:, 1:] * seen[:, :-1]
        channels.append(ops.concatenate([ops.zeros_like(places[:, :1]), velocity], axis=1))
    return ops.concatenate(channels, axis=-1)


def heat_maps(places: keras.KerasTensor, seen: keras.KerasTensor) -> keras.KerasTensor:
    """A spot for each joint, as bright as the joint counts; the last map shows the whole frame, the others the body.

    Returns:
        float32 (B, T, SIDE, SIDE, V).
    """
    ops = keras.ops
    body, frame = places[:, :, :-1, :2], places[:, :, -1:, :2]
    pixels = (ops.concatenate([body / REACH, 2 * frame], axis=2) + 1) * (SIDE / 2)
    # Counted from the input: Keras exports a constant as an extra input of the ONNX graph.
    middles = ops.cumsum(ops.tile(ops.ones_like(pixels[..., :1]), (1, 1, 1, SIDE)), axis=-1) - 0.5
    across, down = (ops.exp(-(((middles - pixels[..., axis : axis + 1]) / SPREAD) ** 2) / 2) for axis in (0, 1))
    maps = (seen * down)[..., :, None] * across[..., None, :]
    return ops.transpose(maps, (0, 1, 3, 4, 2))


def body_graph(joints: int, chains: tuple[tuple[int, ...], ...]) -> NDArray[np.float32]:
    """Which joints send to which, as in ST-GCN (Yan et al., AAAI 2018): to themselves, inwards and outwards.

    Args:
        joints: V.
        chains: Joints from the inside out, each linked to the one before it.

    Returns:
        float32 (3, V, V): what the joint of the row takes from that of the column, an equal share to all that it sends
        to.
    """
    inwards = np.zeros((joints, joints), np.float32)
    for chain in chains:
        inwards[chain[:-1], chain[1:]] = 1
    links = np.stack([np.eye(joints, dtype=np.float32), inwards, inwards.T])
    return np.asarray(links / np.maximum(links.sum(axis=1, keepdims=True), 1), dtype=np.float32)


ON_LANDMARKS: dict[str, Callable[[keras.KerasTensor, ModelParams], keras.KerasTensor]] = {
    head.__name__: head for head in (skeleton_transformer, td_gcn, heatmap_cnn)
}
