"""An encoder that came as an ONNX file, in training: the key of its features, and its part of the model folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import onnx

from actreel.config import ClipSpec
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.inference.clip_encoding import FrameWindows
from actreel.inference.manifest import OnnxEncoder
from actreel.inference.model_folder import ModelFolder
from actreel.training.onnx_files import EncoderFile, Wrapped, join_parts, read_encoder, wrap_encoder


@dataclass(frozen=True)
class OwnEncoder:
    """A user's encoder for clips of certain settings.

    Attributes:
        file: The file, read and checked.
        spec: Clip settings.
        windows: Of a video encoder, its windows over a clip; None for an encoder of pictures.
    """

    file: EncoderFile
    spec: ClipSpec
    windows: FrameWindows | None

    @classmethod
    def read(cls, weights: str, spec: ClipSpec) -> Self:
        """Reads the file that `model.weights` names.

        Raises:
            ModelError: It cannot be used, or sees more frames than a clip has.
        """
        file = read_encoder(Path(weights))
        frames, stride = file.settings.frames, file.settings.stride
        windows = FrameWindows(frames, stride, spec.num_frames) if frames and stride else None
        return cls(file, spec, windows)

    @property
    def key(self) -> Mapping[str, Any]:
        """All that its features depend on besides the frames, in plain values."""
        return {"weights": self.file.sha256, "settings": self.file.settings.model_dump(mode="json")}

    @cached_property
    def wrapped(self) -> Wrapped:
        """The network that takes frames as they are stored.

        Raises:
            ModelError: It does not run, or does not give vectors.
        """
        return wrap_encoder(self.file, self.spec)

    def write(self, file: Path) -> str:
        """Writes the network that takes frames as they are stored; returns the file's sha256."""
        content = self.wrapped.model.SerializeToString(deterministic=True)
        file.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def export(self, folder: ModelFolder) -> OnnxEncoder:
        """Writes `encoder.onnx`, and `model.onnx` with the head that lies in the folder.

        Returns:
            What the manifest says of it.
        """
        sha256 = self.write(folder.encoder)
        indices = None if self.windows is None else self.windows.indices
        try:
            whole = join_parts(self.wrapped, onnx.load(folder.head), self.spec.shape, indices)
        except Exception as error:  # of onnx's checker and converter
            raise ModelError(
                f"'{self.file.path.name}' cannot be joined with a head: {error}. Export it again with opset 17."
            ) from error
        folder.onnx.write_bytes(whole.SerializeToString(deterministic=True))
        settings = self.file.settings
        return OnnxEncoder(
            file=self.file.path.name, file_sha256=self.file.sha256, sha256=sha256, parameters=self.file.parameters,
            frames=settings.frames, stride=settings.stride,
        )  # fmt: skip


def encoder_of(store: Store, weights: str) -> OwnEncoder:
    """The encoder that gave a store's features.

    Raises:
        ModelError: The file cannot be used, or has changed since.
    """
    encoder = OwnEncoder.read(weights, store.spec)
    if any(store.made_with.get(name) != value for name, value in encoder.key.items()):
        raise ModelError(
            f"The features must come from model.weights as it is. Received: '{weights}', which has changed since the "
            "clips were encoded. Encode them again: dvc repro --force encode"
        )
    return encoder
