"""Models: a frame encoder and a temporal head, with the arithmetic on pixels inside."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.backend import keras
from actreel.config import ClipSpec, ModelParams
from actreel.errors import ModelError
from actreel.models.encoders import PRETRAINED, TRAINED
from actreel.models.families import FAMILIES
from actreel.models.heads import CLIP_NORMALISE as CLIP_NORMALISE  # from here for those who fit it
from actreel.models.heads import HEADS

CLIP_INPUT = "clip"
PROBABILITIES = "probabilities"
ENCODER = "encoder"
HEAD = "head"
NORMALISE = "normalise"
# What the names of a block's layers begin with, in each of the pretrained encoders.
_BLOCK = re.compile(r"_blocks-\d+|conv\d+_block\d+|block_?\d+[a-z]?(?=_)")


def build_model(params: ModelParams, spec: ClipSpec, num_classes: int) -> Any:
    """Builds a classifier of clips.

    Args:
        params: Which encoder and head, and their sizes.
        spec: Clip settings, for the input's shape.
        num_classes: Actions.

    Returns:
        What `join` gives.

    Raises:
        ModelError: The encoder's weights cannot be had.
    """
    encoder = build_encoder(params, spec)
    return join(params, spec, encoder, build_head(params, spec, encoder.output_shape[1:], num_classes))


def build_encoder(params: ModelParams, spec: ClipSpec) -> Any:
    """Builds the part that sees one frame.

    Returns:
        A `keras.Model` from uint8 or float32 (N, H, W, C) in [0, 255] to float32 features, (N, F), or (N, H, W, C) for
        `pixels`. C is 3, or 6 where the encoder is trained with `motion`.

    Raises:
        ModelError: The weights cannot be had.
    """
    if params.encoder in PRETRAINED:
        if params.frozen:
            return build_frozen_encoder(params.encoder, params.weights, spec)
        frames = _frame_input(params, spec)
        return keras.Model(frames, PRETRAINED[params.encoder](frames, params.weights), name=ENCODER)
    frames = _frame_input(params, spec)
    return keras.Model(frames, TRAINED[params.encoder](frames, params.dropout), name=ENCODER)


def build_frozen_encoder(name: str, weights: str, spec: ClipSpec) -> Any:
    """As `build_encoder`, for an encoder that keeps the weights it comes with."""
    frames = keras.Input(spec.shape[1:], dtype="uint8", name="frames")
    encoder = keras.Model(frames, PRETRAINED[name](frames, weights), name=ENCODER)
    encoder.trainable = False
    return encoder


def build_head(params: ModelParams, spec: ClipSpec, feature_shape: tuple[int, ...], num_classes: int) -> Any:
    """Builds the part that sees all of a clip.

    Features of a frozen encoder are first brought to mean 0 and variance 1 by the layer `normalise`, which never
    learns by itself: its weights are the mean and the variance of the training clips' features.

    Args:
        params: Which head, and its size.
        spec: Clip settings, for the number of frames.
        feature_shape: Shape of one frame's features.
        num_classes: Actions.

    Returns:
        A `keras.Model` from float32 (B, T, *feature_shape) to float32 (B, num_classes) probabilities.
    """
    features = keras.Input((spec.num_frames, *feature_shape), name="features")
    x = features
    if params.frozen:
        # No layers.Normalization: Keras exports its constants as further inputs of the ONNX graph.
        x = keras.layers.BatchNormalization(center=False, scale=False, trainable=False, name=NORMALISE)(x)
        if params.motion == "difference":
            x = _with_differences(x)
        x = keras.layers.Dropout(params.dropout)(x)
    x = (FAMILIES | HEADS)[params.head](x, params)
    # In float32 whatever the policy: of a loss near 0, half precision leaves nothing.
    output = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name=PROBABILITIES)(x)
    return keras.Model(features, output, name=HEAD)


def join(params: ModelParams, spec: ClipSpec, encoder: Any, head: Any) -> Any:
    """Sets a head upon an encoder: the whole way from frames to probabilities.

    Time is folded into the batch around the encoder, so a step is one convolution over B*T frames: 8.8x faster than a
    `TimeDistributed` around each layer. Plain reshapes, and no layers of ours, so `model.keras` loads anywhere.

    Returns:
        A `keras.Model` from uint8 or float32 (B, T, H, W, 3), RGB in [0, 255], to float32 (B, num_classes)
        probabilities; its layers `encoder` and `head` are the two parts.
    """
    clip = keras.Input(spec.shape, dtype="uint8", name=CLIP_INPUT)
    x = clip
    if params.motion == "difference" and not params.frozen:
        x = _with_differences(keras.ops.cast(x, "float32"))
    frames = keras.ops.reshape(x, (-1, *x.shape[2:]))
    features = encoder(frames)
    features = keras.ops.reshape(features, (-1, spec.num_frames, *features.shape[1:]))
    return keras.Model(clip, head(features), name=f"{params.encoder}_{params.head}")


def embedding_of(fitted: Any) -> Any:
    """What a clip looks like to the model: the head's last state, and the mean of the frames' features beside it.

    Of a probe it is the mean alone: its state says the same again, and is too wide for a covariance of few clips.

    Args:
        fitted: A head, or a whole model.

    Returns:
        A `keras.Model` from what `fitted` takes to float32 (B, D).
    """
    head = _head_of(fitted)
    return _with_outputs(fitted, lambda features, state, probabilities: _embedding(head, features, state))


def logits_of(fitted: Any) -> Any:
    """What the softmax is taken of: a `keras.Model` from what `fitted` takes to float32 (B, num_classes)."""
    last = _head_of(fitted).get_layer(PROBABILITIES)
    return _with_outputs(
        fitted, lambda features, state, probabilities: keras.ops.matmul(state, last.kernel) + last.bias
    )


def with_distance(
    model: Any, whitening: NDArray[np.float32], offset: NDArray[np.float32], centres: NDArray[np.float32]
) -> Any:
    """Adds the embedding's distance to the nearest centre as a second output, so that it is exported with the model.

    Args:
        model: A whole model.
        whitening: float32 (D, D), what embeddings are multiplied by.
        offset: float32 (D,), what is added then.
        centres: float32 (K, D).

    Returns:
        A `keras.Model` from uint8 (B, T, H, W, 3) to float32 (B, num_classes) probabilities and float32 (B,) distances.
    """
    layers = keras.layers
    # In dense layers: Keras would export constants as further inputs of the ONNX graph.
    whiten = layers.Dense(len(whitening), name="whiten")
    from_centres = layers.Dense(len(centres), name="from_centres")

    def outputs(features: Any, state: Any, probabilities: Any) -> list[Any]:
        place = whiten(_embedding(_head_of(model), features, state))
        squared = from_centres(place) + keras.ops.sum(place * place, axis=1, keepdims=True)
        return [probabilities, keras.ops.sqrt(keras.ops.maximum(keras.ops.min(squared, axis=1), 0.0))]

    measuring = _with_outputs(model, outputs)
    whiten.set_weights([whitening, offset])
    from_centres.set_weights([-2 * centres.T, (centres**2).sum(axis=1)])
    return measuring


def unfreeze_last_blocks(encoder: Any, count: int) -> None:
    """Lets the last blocks of a frozen encoder learn, and what comes after them; batch norms keep their statistics.

    Args:
        encoder: From `build_frozen_encoder`.
        count: How many blocks, as the network's paper counts them.

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
    first = next(place for place, block in enumerate(block_of) if block and block[0] == blocks[-count])
    encoder.trainable = True
    for part in encoder.layers:
        part.trainable = part is network
    for place, layer in enumerate(network.layers):
        layer.trainable = place >= first and not isinstance(layer, keras.layers.BatchNormalization)


def export_onnx(model: Any, path: Path) -> None:
    """Writes a model as ONNX, with its input's name, and a batch of any size."""
    (size,) = model.inputs
    model(np.zeros((1, *size.shape[1:]), dtype=size.dtype))  # Keras exports only a model that has been called
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks numpy for `np.object` to see that it is gone
        model.export(path, format="onnx", verbose=False)


def export_parts(model: Any, encoder: Path, head: Path) -> None:
    """Writes the two parts of a whole model as ONNX, if the first one sees each frame of a video by itself.

    It does not where it is given how the frame differs from the one before, or where it only passes frames on: then
    there are no such files, nor stay those of another model.
    """
    for file in (encoder, head):
        file.unlink(missing_ok=True)
    frames, features = model.get_layer(ENCODER).input.shape, model.get_layer(ENCODER).output.shape
    if frames[1:] == model.input.shape[2:] and len(features) == 2:
        export_onnx(model.get_layer(ENCODER), encoder)
        export_onnx(model.get_layer(HEAD), head)


def _head_of(fitted: Any) -> Any:
    return fitted if fitted.name == HEAD else fitted.get_layer(HEAD)


def _with_outputs(fitted: Any, outputs: Callable[[Any, Any, Any], Any]) -> Any:
    """A head, or a whole model, with other outputs, made of the head's features, last state and probabilities."""
    if fitted.name != HEAD:
        head = _with_outputs(fitted.get_layer(HEAD), outputs)
        return keras.Model(fitted.input, head(fitted.operations[-2].output), name=fitted.name)  # the last is the head
    # The head as one layer of the new one: Keras names operations anew in each process, and what is added to a head
    # from a file would meet its own name there.
    inside = keras.Model(fitted.input, [fitted.get_layer(PROBABILITIES).input, fitted.output], name="fitted")
    features = keras.Input(fitted.input.shape[1:], name="features")
    return keras.Model(features, outputs(features, *inside(features)), name=HEAD)


def _embedding(head: Any, features: Any, state: Any) -> Any:
    mean = keras.ops.mean(features, axis=tuple(range(1, len(features.shape) - 1)))
    if any(layer.name == CLIP_NORMALISE for layer in head.layers):
        return mean
    return keras.ops.concatenate([state, mean], axis=1)


def _frame_input(params: ModelParams, spec: ClipSpec) -> Any:
    if params.motion == "difference":
        return keras.Input((spec.height, spec.width, 6), name="frames")
    return keras.Input(spec.shape[1:], dtype="uint8", name="frames")


def _with_differences(x: Any) -> Any:
    """Beside each step, how much it differs from the one before; the first has none before it and gets zeros."""
    change = keras.ops.absolute(x[:, 1:] - x[:, :-1])
    first = keras.ops.zeros_like(x[:, :1])
    return keras.ops.concatenate([x, keras.ops.concatenate([first, change], axis=1)], axis=-1)
