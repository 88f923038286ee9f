"""An encoder that came as an ONNX file, in training; and the one place that knows every frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from actreel.config import ONNX, POSE, ClipSpec, picture_encoders, weights_of
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.inference.clip_encoding import FrameWindows
from actreel.inference.manifest import OnnxEncoder
from actreel.training.graph_encoder import GraphEncoder
from actreel.training.joined_encoder import JoinedEncoder, KerasEncoder, WindowedEncoder
from actreel.training.onnx_files import EncoderFile, Wrapped, read_encoder, wrap_encoder
from actreel.training.pose import PoseEncoder


@dataclass(frozen=True)
class OwnEncoder(GraphEncoder):
    """A user's encoder for clips of certain settings.

    Attributes:
        file: The file, read and checked.
    """

    file: EncoderFile

    @classmethod
    def read(cls, weights: str, spec: ClipSpec) -> Self:
        """Reads the file that `model.weights` names.

        Raises:
            ModelError: It cannot be used, or sees more frames than a clip has.
        """
        file = read_encoder(Path(weights))
        frames, stride = file.settings.frames, file.settings.stride
        windows = FrameWindows(frames, stride, spec.num_frames) if frames and stride else None
        return cls(spec, windows, file)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.path.name

    @property
    def key(self) -> Mapping[str, Any]:
        """Its weights and settings."""
        return {"weights": self.file.sha256, "settings": self.file.settings.model_dump(mode="json")}

    @cached_property
    def wrapped(self) -> Wrapped:
        """The network that takes frames as they are stored.

        Raises:
            ModelError: It does not run, or does not give vectors.
        """
        return wrap_encoder(self.file, self.spec)

    def described(self, sha256: str) -> OnnxEncoder:
        """What the manifest says of it."""
        settings = self.file.settings
        return OnnxEncoder(
            file=self.name, file_sha256=self.file.sha256, sha256=sha256, parameters=self.file.parameters,
            frames=settings.frames, stride=settings.stride,
        )  # fmt: skip


def read_graph_encoder(encoder: str, weights: str, spec: ClipSpec) -> GraphEncoder:
    """An encoder of pictures as a graph, or several joined.

    Args:
        encoder: As `model.encoder`; its tracks are left out.
        weights: As `model.weights`.
        spec: Clip settings.

    Raises:
        ModelError: Its weights are not there, or cannot be used for these clips.
    """
    found = read_picture_encoders(encoder, weights, spec)
    return JoinedEncoder.of(found, spec) if len(found) > 1 else next(iter(found.values()))


def read_picture_encoders(encoder: str, weights: str, spec: ClipSpec) -> dict[str, GraphEncoder]:
    """The encoders of pictures one by one, by name; beside a video encoder, all see its windows.

    Raises:
        ModelError: As for `read_graph_encoder`.
    """
    names = picture_encoders(encoder)
    own = OwnEncoder.read(weights, spec) if ONNX in names else None
    windows = None if own is None else own.windows
    seen = spec if windows is None else spec.model_copy(update={"num_frames": windows.frames})

    def read(name: str) -> GraphEncoder:
        if name == ONNX and own is not None:
            return own
        if name == POSE:
            found: GraphEncoder = PoseEncoder.read(seen)
        else:
            found = KerasEncoder(seen, None, name, weights_of(name, encoder, weights))
        return found if windows is None else WindowedEncoder(spec, windows, found)

    return {name: read(name) for name in names}


def encoder_of(store: Store, weights: str) -> GraphEncoder:
    """The encoder of pictures that gave a store's features, or several joined.

    Raises:
        ModelError: The file cannot be used, or has changed since.
    """
    encoder = read_graph_encoder(store.made_with["encoder"], weights, store.spec)
    each = encoder.encoders.values() if isinstance(encoder, JoinedEncoder) else [encoder]
    made = [then for then in store.made_with.get("encoders", [store.made_with]) if "track" not in then]
    if any(then.get(name) != value for then, now in zip(made, each, strict=True) for name, value in now.key.items()):
        raise ModelError(
            f"The features must come from model.weights as it is. Received: '{weights}', which has changed since the "
            "clips were encoded. Encode them again: dvc repro --force encode"
        )
    return encoder
