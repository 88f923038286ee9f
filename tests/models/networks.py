"""Networks and clips that the tests of models share."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from actreel.config import ClipSpec, ModelParams
from actreel.models import export_onnx
from actreel.quiet_keras import keras

SPEC = ClipSpec(num_frames=5, height=32, width=40)
# Coarse patches, and another brightness for each clip: a fresh network gives much the same for every clip of noise.
PATCHES = np.random.default_rng(0).integers(0, 256, (3, SPEC.num_frames, 4, 5, 3)) * [
    [[[[0.3]]]],
    [[[[0.6]]]],
    [[[[1]]]],
]
CLIPS = np.kron(PATCHES, np.ones((1, 1, 8, 8, 1))).astype(np.uint8)
FEATURES = np.random.default_rng(0).normal(0, 1, (3, SPEC.num_frames, 24)).astype(np.float32)
PARITY = 1e-4
"""How far Keras and ONNX Runtime may be apart."""


def params_of(encoder: str, head: str, motion: str = "none", weights: str = "none") -> ModelParams:
    values = {"encoder": encoder, "weights": weights, "head": head, "motion": motion, "units": 8, "dropout": 0.3}
    return ModelParams.model_validate(values)


def onnx_output(model: keras.Model, inputs: NDArray[Any], path: Path) -> NDArray[np.float32]:
    export_onnx(model, path)
    session = onnxruntime.InferenceSession(path)
    (wanted,) = session.get_inputs()
    return np.asarray(session.run(None, {wanted.name: inputs})[0])


def assert_onnx_equals_keras(model: keras.Model, inputs: NDArray[Any], path: Path) -> None:
    """Fails if the exported model gives something else, or if all clips get the same output, which proves nothing."""
    expected = np.asarray(model(inputs))
    assert expected.std(axis=0).max() > 10 * PARITY
    np.testing.assert_allclose(onnx_output(model, inputs, path), expected, atol=PARITY)


def assert_saved_is_equal(model: keras.Model, inputs: NDArray[Any], path: Path) -> None:
    """Fails if the model that is loaded from a .keras file gives anything else, to the bit."""
    model.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path)(inputs), model(inputs))


def sharpen(model: keras.Model) -> None:
    """Makes a fresh model's probabilities differ between clips."""
    for variable in model.trainable_variables:
        if variable.name.endswith("kernel"):
            variable.assign(variable * 2)


def tiny_encoder(frames: Any, weights: str) -> Any:
    """Stands in for a pretrained encoder of frames of 16x16: three blocks, always with the same weights."""
    layers = keras.layers
    images = keras.Input((16, 16, 3))
    x = images
    for block in range(3):
        start = keras.initializers.GlorotUniform(seed=block)
        x = layers.Conv2D(8, 3, strides=2, kernel_initializer=start, name=f"_blocks-{block}-_conv")(x)
        x = layers.BatchNormalization(name=f"_blocks-{block}-_bn")(x)
        x = layers.ReLU()(x)
    network = keras.Model(images, layers.GlobalAveragePooling2D()(x))
    return network(layers.Rescaling(1 / 128, offset=-1)(frames))
