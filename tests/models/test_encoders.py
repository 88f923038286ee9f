"""Every pretrained encoder: ONNX gives what Keras gives, its last blocks can be trained, and its weights load."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.errors import ModelError
from actreel.models import build_encoder, build_frozen_encoder, unfreeze_last_blocks
from actreel.quiet_keras import keras
from tests.models.networks import CLIPS, PARITY, SPEC, onnx_output, params_of

LAST_BLOCKS = {
    "efficientnet_lite0": {
        "_blocks-15-_expand_conv", "_blocks-15-_depthwise_conv", "_blocks-15-_project_conv", "_conv_head",
    },
    "efficientnet_lite2": {
        "_blocks-20-_expand_conv", "_blocks-20-_depthwise_conv", "_blocks-20-_project_conv", "_conv_head",
    },
    "mobilenet_v2": {"block_16_expand", "block_16_depthwise", "block_16_project", "Conv_1"},
    "efficientnet_v2_b0": {
        "block6h_expand_conv", "block6h_dwconv2", "block6h_se_reduce", "block6h_se_expand", "block6h_project_conv",
        "top_conv",
    },
    "resnet50": {"conv5_block3_1_conv", "conv5_block3_2_conv", "conv5_block3_3_conv"},
    "vgg16": {"block5_conv1", "block5_conv2", "block5_conv3"},
}  # fmt: skip


def settle(model: keras.Model, frames: NDArray[Any]) -> None:
    """Gives every batch norm the statistics of these frames: random weights would shrink the outputs to 0."""
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.trainable, norm.momentum = True, 0.0
    model(frames, training=True)


# Each of Keras's networks, and a layer that all kinds of its blocks come before: to export the others, which are built
# of the same layers, takes ten seconds more.
CUT = {
    "MobileNetV2": "block_3_project_BN",
    "EfficientNetV2B0": "block4b_add",
    "VGG16": "block2_pool",
}


def cut_off(make: Callable[..., keras.Model], last: str) -> Callable[..., keras.Model]:
    """The first blocks of a network, pooled as the whole one is."""

    def cut(**arguments: Any) -> keras.Model:
        network = make(**arguments)
        pooled = keras.layers.GlobalAveragePooling2D()(network.get_layer(last).output)
        return keras.Model(network.input, pooled)

    return cut


# One of each way to scale frames. The rest are built of the same layers: ResNet-50 is scaled as VGG-16 is, and Lite1
# and Lite2 as Lite0, which tests/training/test_features.py exports.
@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_v2_b0", "vgg16"])
def test_onnx_equals_keras_for_every_encoder_of_keras(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for network, last in CUT.items():
        monkeypatch.setattr(keras.applications, network, cut_off(getattr(keras.applications, network), last))
    encoder = build_frozen_encoder(name, "none", SPEC)
    frames = CLIPS[0, :2]
    settle(encoder, frames)
    features = np.asarray(encoder(frames))
    assert np.abs(features[0] - features[1]).max() > 1e-2
    np.testing.assert_array_equal(encoder(frames[:1])[0], encoder(frames[:1])[0])
    np.testing.assert_allclose(onnx_output(encoder, frames, tmp_path / "e.onnx"), features, rtol=1e-3, atol=PARITY)


@pytest.mark.parametrize("name", LAST_BLOCKS)
def test_the_last_block_of_every_encoder_can_be_trained(name: str) -> None:
    encoder = build_frozen_encoder(name, "none", SPEC)
    unfreeze_last_blocks(encoder, 1)
    assert {weight.path.split("/")[-2] for weight in encoder.trainable_weights} == LAST_BLOCKS[name]


def test_weights_are_loaded_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.applications, "MobileNetV2", cut_off(keras.applications.MobileNetV2, CUT["MobileNetV2"]))
    source = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3))
    source.save_weights(tmp_path / "m.weights.h5")
    source.save(tmp_path / "m.keras")
    expected = source(keras.ops.image.resize(CLIPS[0].astype("float32"), (224, 224)) / 127.5 - 1)
    for file in ("m.weights.h5", "m.keras"):
        params = params_of("mobilenet_v2", "mean", weights=str(tmp_path / file))
        assert params.frozen
        encoder = build_encoder(params, SPEC)
        assert not encoder.trainable_weights
        np.testing.assert_allclose(encoder(CLIPS[0]), expected, rtol=1e-4, atol=1e-7)


def test_weights_that_cannot_be_loaded_are_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.weights.h5").write_bytes(b"none")
    with pytest.raises(ModelError, match=r"model\.weights must be 'imagenet', 'none' or a file"):
        build_encoder(params_of("mobilenet_v2", "mean", weights=str(tmp_path / "m.weights.h5")), SPEC)

    def offline(**arguments: Any) -> None:
        raise Exception("URL fetch failure on https://...: None -- [Errno -3]")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ModelError, match=r"URL fetch failure.*model\.encoder=efficientnet_lite0"):
        build_encoder(params_of("mobilenet_v2", "mean", weights="imagenet"), SPEC)
