"""Frame encoders: they turn each frame into features. All take RGB in [0, 255] and rescale it themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from actreel.config import IMAGENET, NO_WEIGHTS
from actreel.errors import ModelError
from actreel.models import efficientnet_lite
from actreel.quiet_keras import keras

# What the names of small_cnn's layers begin with.
CONVOLUTION = "conv"
POOLING = "pool"


def pixels(frames: keras.KerasTensor, dropout: float) -> keras.KerasTensor:
    """The frames, unchanged but for scale, for families: float32 (N, H, W, C) in [0, 1]."""
    return keras.layers.Rescaling(1 / 255)(frames)


def small_cnn(frames: keras.KerasTensor, dropout: float) -> keras.KerasTensor:
    """The CNN of the LRCN project on UCF50: 16, 32, 64 and 64 filters, pooled by 4, 4, 2 and 2.

    Pooling windows are clipped where a frame is too small for them.

    Args:
        frames: uint8 or float32 (N, H, W, C) in [0, 255].
        dropout: Share dropped after each pooling but the last.

    Returns:
        float32 (N, F); F is 64 for frames of 64 pixels.
    """
    layers = keras.layers
    x = layers.Rescaling(1 / 255)(frames)
    for stage, (filters, pool) in enumerate(((16, 4), (32, 4), (64, 2), (64, 2))):
        x = layers.Conv2D(filters, 3, padding="same", name=f"{CONVOLUTION}{stage + 1}")(x)
        sides = (min(pool, x.shape[1]), min(pool, x.shape[2]))
        x = layers.MaxPooling2D(sides, name=f"{POOLING}{stage + 1}")(x)
        x = layers.ReLU()(x)  # after the pooling: bit-identical, on up to 16 times fewer numbers
        if stage < 3:
            x = layers.Dropout(dropout)(x)
    return layers.Flatten()(x)


def efficientnet_lite0(frames: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """EfficientNet-Lite0: float32 (N, 1280), from frames stretched to 224 pixels."""
    return _efficientnet_lite(efficientnet_lite.LITE0, frames, weights)


def efficientnet_lite1(frames: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """EfficientNet-Lite1: float32 (N, 1280), from frames stretched to 240 pixels."""
    return _efficientnet_lite(efficientnet_lite.LITE1, frames, weights)


def efficientnet_lite2(frames: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """EfficientNet-Lite2: float32 (N, 1280), from frames stretched to 260 pixels."""
    return _efficientnet_lite(efficientnet_lite.LITE2, frames, weights)


def mobilenet_v2(frames: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """MobileNetV2 (Sandler et al., CVPR 2018): float32 (N, 1280), from 224 pixels."""
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(_resize(frames, 224))
    return _application(keras.applications.MobileNetV2, x, weights)


def efficientnet_v2_b0(frames: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """EfficientNetV2-B0 (Tan and Le, ICML 2021): float32 (N, 1280), from 224 pixels."""
    # Keras exports the constants of its own preprocessing as extra inputs of the ONNX graph.
    make = partial(keras.applications.EfficientNetV2B0, include_preprocessing=False)
    deviations = [0.229, 0.224, 0.225]
    offsets = [-mean / deviation for mean, deviation in zip([0.485, 0.456, 0.406], deviations, strict=True)]
    x = keras.layers.Rescaling([1 / (255 * deviation) for deviation in deviations], offset=offsets)
    return _application(make, x(_as_float(_resize(frames, 224))), weights)


def resnet50(frames: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """ResNet-50 (He et al., CVPR 2016): float32 (N, 2048), from 224 pixels."""
    return _application(keras.applications.ResNet50, _caffe_style(_resize(frames, 224)), weights)


def vgg16(frames: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    """VGG-16 (Simonyan and Zisserman, ICLR 2015): float32 (N, 512), from 224 pixels."""
    return _application(keras.applications.VGG16, _caffe_style(_resize(frames, 224)), weights)


TRAINED: dict[str, Callable[[keras.KerasTensor, float], keras.KerasTensor]] = {
    encoder.__name__: encoder for encoder in (pixels, small_cnn)
}
PRETRAINED: dict[str, Callable[[keras.KerasTensor, str], keras.KerasTensor]] = {
    encoder.__name__: encoder
    for encoder in (
        efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, mobilenet_v2, efficientnet_v2_b0, resnet50, vgg16
    )
}  # fmt: skip


FEATURE_SIZES = dict.fromkeys(PRETRAINED, 1280) | {"resnet50": 2048, "vgg16": 512}
"""Features of a frame by each pretrained encoder."""


def _efficientnet_lite(
    variant: efficientnet_lite.Variant, frames: keras.KerasTensor, weights: str
) -> keras.KerasTensor:
    network = efficientnet_lite.build(variant, channels=frames.shape[-1])
    if weights == IMAGENET:
        efficientnet_lite.load_imagenet_weights(network)
    else:
        _load_local_weights(network, weights)
    return network(keras.layers.Rescaling(1 / 128, offset=-127 / 128)(_resize(frames, variant.side)))


def _as_float(frames: keras.KerasTensor) -> keras.KerasTensor:
    return keras.ops.cast(frames, "float32")


def _resize(frames: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Stretches frames of another size inside the model, so any clip settings fit any encoder."""
    if tuple(frames.shape[1:3]) == (side, side):
        return frames
    # No layers.Resizing: its `training` defaults to True, and every layer after it in a nested model then trains.
    return keras.ops.image.resize(_as_float(frames), (side, side))


def _caffe_style(frames: keras.KerasTensor) -> keras.KerasTensor:
    """BGR minus the ImageNet mean, as in Caffe's ImageNet networks."""
    blue_first = keras.ops.flip(_as_float(frames), axis=-1)
    return keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68])(blue_first)


def _application(make: Callable[..., keras.Model], images: keras.KerasTensor, weights: str) -> keras.KerasTensor:
    try:
        network = make(
            weights=IMAGENET if weights == IMAGENET else None,
            include_top=False,
            pooling="avg",
            input_shape=images.shape[1:],
        )
    except Exception as error:  # urllib's, and a bare Exception from Keras's own downloader
        raise ModelError(
            f"Keras could not download the ImageNet weights: {error}. Go online once, set model.weights to a "
            ".weights.h5 or .keras file, or use an encoder whose weights are installed: "
            "dvc exp run -S model.encoder=efficientnet_lite0"
        ) from error
    _load_local_weights(network, weights)
    return network(images)


def _load_local_weights(network: keras.Model, weights: str) -> None:
    if weights in (IMAGENET, NO_WEIGHTS):
        return
    try:
        if weights.endswith(".keras"):
            network.set_weights(keras.models.load_model(weights).get_weights())
        else:
            network.load_weights(weights)
    except Exception as error:  # h5py's, zipfile's and Keras's own errors share no other base
        raise ModelError(
            f"model.weights must be '{IMAGENET}', '{NO_WEIGHTS}' or a file with the weights of {network.name} without "
            f"its classifier. Received: '{weights}': {error}"
        ) from error
