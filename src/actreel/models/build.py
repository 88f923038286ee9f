"""Builds networks: a frame encoder and a temporal head, with the arithmetic on pixels inside."""

from __future__ import annotations

from actreel.config import LANDMARK_HEADS, PROBABILITIES, ClipSpec, ModelParams, picture_encoders
from actreel.models.encoders import PRETRAINED, TRAINED
from actreel.models.families import FAMILIES
from actreel.models.heads import HEADS
from actreel.models.join import join
from actreel.models.landmarks import ON_LANDMARKS
from actreel.models.parts import ENCODER, HEAD, NORMALISE, with_differences
from actreel.quiet_keras import keras


def build_model(params: ModelParams, spec: ClipSpec, num_classes: int) -> keras.Model:
    """Builds a classifier of clips.

    Args:
        params: Which encoder and head, and their sizes.
        spec: Clip settings, for the input's shape.
        num_classes: Actions.

    Returns:
        What `join` gives.

    Raises:
        ModelError: The encoder's weights cannot be loaded.
    """
    encoder = build_encoder(params, spec)
    return join(params, spec, encoder, build_head(params, (spec.num_frames, *encoder.output_shape[1:]), num_classes))


def build_encoder(params: ModelParams, spec: ClipSpec) -> keras.Model:
    """Builds the part that sees one frame.

    Returns:
        A `keras.Model` from uint8 or float32 (N, H, W, C) in [0, 255] to float32 features, (N, F), or (N, H, W, C) for
        `pixels`. C is 3, or 6 where the encoder is trained with `motion`.

    Raises:
        ModelError: The weights cannot be loaded.
    """
    if params.frozen:
        return build_frozen_encoder(params.encoder, params.weights, spec)
    if params.encoder in PRETRAINED:
        frames = _frame_input(params, spec)
        return keras.Model(frames, PRETRAINED[params.encoder](frames, params.weights), name=ENCODER)
    frames = _frame_input(params, spec)
    return keras.Model(frames, TRAINED[params.encoder](frames, params.dropout), name=ENCODER)


def build_frozen_encoder(name: str, weights: str, spec: ClipSpec) -> keras.Model:
    """As `build_encoder`, for pretrained encoders that are not trained further.

    Args:
        name: As `model.encoder`. The features of several encoders are concatenated; those of no pictures are left out.
        weights: As `model.weights`.
        spec: Clip settings.
    """
    frames = keras.Input(spec.shape[1:], dtype="uint8", name="frames")
    features = [PRETRAINED[name](frames, weights) for name in picture_encoders(name)]
    joined = keras.layers.Concatenate()(features) if len(features) > 1 else features[0]
    encoder = keras.Model(frames, joined, name=ENCODER)
    encoder.trainable = False
    return encoder


def build_head(params: ModelParams, features_of_clip: tuple[int, ...], num_classes: int) -> keras.Model:
    """Builds the part that sees all of a clip.

    Features of a frozen encoder are first brought to mean 0 and variance 1 by the layer `normalise`. Gradient descent
    never changes it: its weights are the mean and the variance of the training clips' features. Heads on landmarks take
    them as they are: standardised number by number, a body would lose its shape.

    Args:
        params: Which head, and its size.
        features_of_clip: Shape of a clip's features: (T, F), or (T, H, W, C) for `pixels`. For a video encoder, T is
            the number of its windows.
        num_classes: Actions.

    Returns:
        A `keras.Model` from float32 (B, *features_of_clip) to float32 (B, num_classes) probabilities.
    """
    features = keras.Input(features_of_clip, name="features")
    x = features
    if params.frozen and params.head not in LANDMARK_HEADS:
        # No layers.Normalization: Keras exports its constants as extra inputs of the ONNX graph.
        x = keras.layers.BatchNormalization(center=False, scale=False, trainable=False, name=NORMALISE)(x)
        if params.motion == "difference":
            x = with_differences(x)
        x = keras.layers.Dropout(params.dropout)(x)
    x = (FAMILIES | HEADS | ON_LANDMARKS)[params.head](x, params)
    # Always in float32: half precision rounds a loss near 0 to 0.
    output = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name=PROBABILITIES)(x)
    return keras.Model(features, output, name=HEAD)


def _frame_input(params: ModelParams, spec: ClipSpec) -> keras.KerasTensor:
    if params.motion == "difference":
        return keras.Input((spec.height, spec.width, 6), name="frames")
    return keras.Input(spec.shape[1:], dtype="uint8", name="frames")
