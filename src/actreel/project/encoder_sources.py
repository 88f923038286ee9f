"""The encoders that `actreel encoders pull` can bring, and where each can be had.

No source stands alone: MoViNet's official bucket has refused access since February 2026. Sizes and digests are those
that several projects have published for the file; where none is known, the first download's digest is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_HUB = "https://huggingface.co"
_HUB_MIRROR = "https://hf-mirror.com"
_CLIP = "Xenova/clip-vit-base-patch32/resolve/d15189d7028b43f1d3e65039190477f6af591c2a/onnx/vision_model.onnx"


@dataclass(frozen=True)
class EncoderSource:
    """An encoder that can be had from the internet.

    Attributes:
        name: As `model.encoder`, or a name of ours for an ONNX file.
        file: The file's name here: for weights of Keras, the one that Keras looks for.
        urls: Its addresses, each tried after the one before.
        licence: Of the weights, as their authors state it.
        page: Where authors and licence are.
        size: Bytes, if known.
        sha256: Of the content, if known.
        md5: Of the content, if Keras publishes it.
        settings: How an ONNX file takes pictures; empty for weights of Keras, which take them as Keras says.
    """

    name: str
    file: str
    urls: tuple[str, ...]
    licence: str
    page: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_keras(self) -> bool:
        """Whether it is weights of keras.applications, which `model.weights: imagenet` finds."""
        return not self.settings

    @property
    def pinned(self) -> bool:
        """Whether the content is known beforehand."""
        return self.sha256 is not None or self.md5 is not None


_IMAGENET = {"range": [0, 1], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
_DINOV2 = {"layout": "NCHW", "size": [224, 224], **_IMAGENET, "output": "last_hidden_state", "pool": "first"}

SOURCES = (
    EncoderSource(
        "mobilenet_v2",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        (
            f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            "https://github.com/JonathanCMitchell/mobilenet_v2_keras/releases/download/v1.1/"
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        ),
        "Apache-2.0",
        "https://keras.io/api/applications/mobilenet/",
    ),
    EncoderSource(
        "efficientnet_v2_b0",
        "efficientnetv2-b0_notop.h5",
        (f"{_KERAS}/efficientnet_v2/efficientnetv2-b0_notop.h5",),
        "Apache-2.0",
        "https://keras.io/api/applications/efficientnet_v2/",
        md5="893217f2bb855e2983157299931e43ff",
    ),
    EncoderSource(
        "resnet50",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        (
            f"{_KERAS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "https://github.com/keras-team/keras-applications/releases/download/resnet/"
            "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        "MIT",
        "https://keras.io/api/applications/resnet/",
        md5="4d473c1dd8becc155b73f8504c6f6626",
    ),
    EncoderSource(
        "vgg16",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        (
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/"
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        "CC BY 4.0",
        "https://keras.io/api/applications/vgg/",
        md5="6d6bbae143d832006294945121d1f1fc",
    ),
    EncoderSource(
        "dinov2_small",
        "dinov2_small.onnx",
        (
            f"{_HUB}/onnx-community/dinov2-small/resolve/main/onnx/model.onnx",
            f"{_HUB}/Xenova/dinov2-small/resolve/main/onnx/model.onnx",
        ),
        "Apache-2.0",
        f"{_HUB}/facebook/dinov2-small",
        settings=_DINOV2,
    ),
    EncoderSource(
        "clip_vit_b32",
        "clip_vit_b32.onnx",
        (f"{_HUB}/{_CLIP}", f"{_HUB_MIRROR}/{_CLIP}"),
        "MIT (of OpenAI's repository)",
        f"{_HUB}/openai/clip-vit-base-patch32",
        size=351_685_709,
        sha256="fd6e1402a588279d1723c7534d4bcba5bc0b14b47dfab0e46f8c47b8270d7d40",
        settings={
            "layout": "NCHW",
            "size": [224, 224],
            "range": [0, 1],
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
        },
    ),
)
