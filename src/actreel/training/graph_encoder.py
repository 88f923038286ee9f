"""Encoders as ONNX graphs of their own, and no part of a Keras network."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.inference.clip_encoding import FrameWindows
from actreel.inference.manifest import OnnxEncoder
from actreel.inference.model_folder import ModelFolder
from actreel.training.onnx_files import Wrapped, join_parts


@dataclass(frozen=True)
class GraphEncoder(ABC):
    """An encoder for clips of certain settings.

    Attributes:
        spec: Clip settings.
        windows: Of a video encoder, its windows over a clip; None for an encoder of pictures.
    """

    spec: ClipSpec
    windows: FrameWindows | None

    frame_by_frame: ClassVar[bool] = False
    """Whether a frame has the same features to the last bit, whatever frames are encoded with it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @property
    @abstractmethod
    def key(self) -> Mapping[str, Any]:
        """All that its features depend on besides the frames and code, in plain values."""

    @property
    @abstractmethod
    def wrapped(self) -> Wrapped:
        """The network that takes frames as they are stored.

        Raises:
            ModelError: It does not run, or does not give vectors.
        """

    @abstractmethod
    def described(self, sha256: str) -> OnnxEncoder:
        """What the manifest says of it; `sha256` is that of the network that takes frames as they are stored."""

    @staticmethod
    def mirrored(features: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The features of a clip's mirrored frames from those of its frames; None if the frames must be encoded."""
        return None

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
                f"'{self.name}' cannot be joined with a head: {error}. Export it again with opset 17."
            ) from error
        folder.onnx.write_bytes(whole.SerializeToString(deterministic=True))
        return self.described(sha256)
