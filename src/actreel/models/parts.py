"""The parts of a network by name, and models derived from them: embedding, logits, distance, trainable blocks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.config import PROBABILITIES
from actreel.errors import ModelError
from actreel.models.heads import CLIP_NORMALISE
from actreel.quiet_keras import keras

CLIP_INPUT = "clip"
ENCODER = "encoder"
HEAD = "head"
NORMALISE = "normalise"
# How the names of a block's layers begin in each of the pretrained encoders.
_BLOCK = re.compile(r"_blocks-\d+|conv\d+_block\d+|block_?\d+[a-z]?(?=_)")


def embedding_of(fitted: keras.Model) -> keras.Model:
    """The embedding of a clip: the head's last state, concatenated with the mean of the frames' features.

    For a probe it is the mean alone: its state repeats it, and is too wide for a covariance of few clips.

    Args:
        fitted: A head, or a whole model.

    Returns:
        A `keras.Model` from what `fitted` takes to float32 (B, D).
    """
    head = _head_of(fitted)
    return _with_outputs(fitted, lambda features, state, probabilities: _embedding(head, features, state))


def logits_of(fitted: keras.Model) -> keras.Model:
    """The logits: a `keras.Model` from what `fitted` takes to float32 (B, num_classes)."""
    last = _head_of(fitted).get_layer(PROBABILITIES)
    return _with_outputs(
        fitted, lambda features, state, probabilities: keras.ops.matmul(state, last.kernel) + last.bias
    )


def with_distance(
    model: keras.Model,
    whitening: NDArray[np.float32],
    offset: NDArray[np.float32],
    from_centres: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> keras.Model:
    """Adds the embedding's distance to the nearest centre as a second output, to export it with the model.

    Args:
        model: A whole model.
        whitening: float32 (D, D), embeddings are multiplied by it.
        offset: float32 (D,), added after that.
        from_centres: As `EmbeddingStatistics.from_centres`, which explains it.

    Returns:
        A `keras.Model` from uint8 (B, T, H, W, 3) to float32 (B, num_classes) probabilities and float32 (B,) distances.
    """
    layers = keras.layers
    # In dense layers: Keras would export constants as extra inputs of the ONNX graph.
    whiten = layers.Dense(len(whitening), name="whiten")
    squares = layers.Dense(len(from_centres[1]), name="from_centres")

    def outputs(
        features: keras.KerasTensor, state: keras.KerasTensor, probabilities: keras.KerasTensor
    ) -> list[keras.KerasTensor]:
        whitened = whiten(_embedding(_head_of(model), features, state))
        squared = squares(whitened) + keras.ops.sum(whitened * whitened, axis=1, keepdims=True)
        return [probabilities, keras.ops.sqrt(keras.ops.maximum(keras.ops.min(squared, axis=1), 0.0))]

    measuring = _with_outputs(model, outputs)
    whiten.set_weights([whitening, offset])
    squares.set_weights(list(from_centres))
    return measuring


def unfreeze_last_blocks(encoder: keras.Model, count: int) -> None:
    """Makes the last blocks of a frozen encoder trainable, and all layers after them; batch norms stay frozen.

    Args:
        encoder: From `build_frozen_encoder`.
        count: Number of blocks, as the network's paper counts them.

    Raises:
        ModelError: The encoder has fewer blocks.
    """
    network = max(
        (layer for layer in encoder.layers if isinstance(layer, keras.Model)), key=lambda part: len(part.layers)
    )
    block_of = [_BLOCK.match(layer.name) for layer in network.layers]
    blocks = list(dict.fromkeys(block[0] for block in block_of if block))
    if count > len(blocks):
        raise ModelError(f"train.fine_tune must be at most the encoder's {len(blocks)} blocks. Received: {count}.")
    first = next(position for position, block in enumerate(block_of) if block and block[0] == blocks[-count])
    encoder.trainable = True
    for part in encoder.layers:
        part.trainable = part is network
    for position, layer in enumerate(network.layers):
        layer.trainable = position >= first and not isinstance(layer, keras.layers.BatchNormalization)


def _head_of(fitted: keras.Model) -> keras.Model:
    return fitted if fitted.name == HEAD else fitted.get_layer(HEAD)


def _with_outputs(fitted: keras.Model, outputs: Callable[..., Any]) -> keras.Model:
    """A head or a whole model with other outputs, computed from the head's features, last state and probabilities."""
    if fitted.name != HEAD:
        head = _with_outputs(fitted.get_layer(HEAD), outputs)
        return keras.Model(fitted.input, head(fitted.operations[-2].output), name=fitted.name)  # the last is the head
    # The head becomes one layer of the new model: Keras counts operation names from the start in each process, and
    # those of new layers would clash with those of a head from a file.
    inside = keras.Model(fitted.input, [fitted.get_layer(PROBABILITIES).input, fitted.output], name="fitted")
    features = keras.Input(fitted.input.shape[1:], name="features")
    return keras.Model(features, outputs(features, *inside(features)), name=HEAD)


def _embedding(head: keras.Model, features: keras.KerasTensor, state: keras.KerasTensor) -> keras.KerasTensor:
    mean = keras.ops.mean(features, axis=tuple(range(1, len(features.shape) - 1)))
    if any(layer.name == CLIP_NORMALISE for layer in head.layers):
        return mean
    return keras.ops.concatenate([state, mean], axis=1)


def with_differences(x: keras.KerasTensor) -> keras.KerasTensor:
    """Concatenates each step with its absolute change since the step before; zeros for the first."""
    change = keras.ops.absolute(x[:, 1:] - x[:, :-1])
    first = keras.ops.zeros_like(x[:, :1])
    return keras.ops.concatenate([x, keras.ops.concatenate([first, change], axis=1)], axis=-1)
