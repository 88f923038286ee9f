"""Several encoders of pictures as one ONNX graph, where at least one of them is a graph that Keras does not know."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import onnx

from actreel.config import IMAGENET, NO_WEIGHTS, ClipSpec
from actreel.errors import ModelError
from actreel.inference.manifest import OnnxEncoder
from actreel.training.graph_encoder import GraphEncoder
from actreel.training.onnx_files import Wrapped, in_windows, num_parameters, side_by_side


@dataclass(frozen=True)
class KerasEncoder(GraphEncoder):
    """A pretrained encoder that Keras builds, exported.

    Attributes:
        encoder: As `model.encoder`.
        weights: As `model.weights`.
    """

    encoder: str
    weights: str

    frame_by_frame: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """As in `model.encoder`."""
        return self.encoder

    @property
    def key(self) -> Mapping[str, Any]:
        """Its weights."""
        return {"weights": self.weights if self.weights == IMAGENET else _digest(Path(self.weights))}

    @cached_property
    def wrapped(self) -> Wrapped:
        """The exported network.

        Raises:
            ModelError: Its weights cannot be loaded.
        """
        # Imported here because it loads TensorFlow, which a complete store of features does not need.
        from actreel.models import build_frozen_encoder, export_onnx

        network = build_frozen_encoder(self.encoder, self.weights, self.spec)
        with tempfile.TemporaryDirectory() as scratch:
            export_onnx(network, Path(scratch) / "encoder.onnx")
            return Wrapped(onnx.load(Path(scratch) / "encoder.onnx"), int(network.output_shape[-1]))

    def described(self, sha256: str) -> OnnxEncoder:
        """What the manifest says of it."""
        model = self.wrapped.model
        own = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
        return OnnxEncoder(file=self.name, file_sha256=own, sha256=sha256, parameters=num_parameters(model))


@dataclass(frozen=True)
class WindowedEncoder(GraphEncoder):
    """An encoder of pictures beside a video encoder: of each of its windows, the mean over the frames.

    Attributes:
        encoder: The encoder of pictures, for clips as long as a window.
    """

    encoder: GraphEncoder

    @property
    def name(self) -> str:
        """That of the encoder."""
        return self.encoder.name

    @property
    def key(self) -> Mapping[str, Any]:
        """The encoder's, and the windows."""
        windows = self.windows
        return {**self.encoder.key, **({} if windows is None else {"windows": [windows.frames, windows.stride]})}

    @cached_property
    def wrapped(self) -> Wrapped:
        """From windows of frames to means of features."""
        own = self.encoder.wrapped
        return Wrapped(in_windows(own, self.encoder.spec.shape), own.size)

    def described(self, sha256: str) -> OnnxEncoder:
        """What the manifest says of it."""
        return self.encoder.described(sha256)


@dataclass(frozen=True)
class JoinedEncoder(GraphEncoder):
    """Several encoders, which see the same frames.

    Attributes:
        encoders: They, by their names in `model.encoder`, in its order.
    """

    encoders: Mapping[str, GraphEncoder]

    @classmethod
    def of(cls, encoders: Mapping[str, GraphEncoder], spec: ClipSpec) -> Self:
        """Joins encoders of clips of these settings; where one of them sees windows, all do."""
        return cls(spec, next(iter(encoders.values())).windows, encoders)

    @property
    def name(self) -> str:
        """The names of all."""
        return " + ".join(each.name for each in self.encoders.values())

    @property
    def key(self) -> Mapping[str, Any]:
        """Those of all."""
        return {name: dict(each.key) for name, each in self.encoders.items()}

    @cached_property
    def wrapped(self) -> Wrapped:
        """All networks as one graph.

        Raises:
            ModelError: They cannot be joined.
        """
        networks = [each.wrapped for each in self.encoders.values()]
        try:
            return side_by_side(networks)
        except Exception as error:  # of onnx's checker and converter
            raise ModelError(
                f"'{self.name}' cannot be joined: {error}. Export the ONNX file again with opset 17."
            ) from error

    def described(self, sha256: str) -> OnnxEncoder:
        """What the manifest says of all: their files and digests with " + " between them."""
        all_of_them = [each.described(sha256) for each in self.encoders.values()]
        return OnnxEncoder(
            file=self.name, file_sha256=" + ".join(each.file_sha256 for each in all_of_them), sha256=sha256,
            parameters=sum(each.parameters for each in all_of_them),
            frames=None if self.windows is None else self.windows.frames,
            stride=None if self.windows is None else self.windows.stride,
        )  # fmt: skip


def _digest(weights: Path) -> str:
    try:
        with weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"model.weights must be '{IMAGENET}', '{NO_WEIGHTS}' or a file that can be read. "
            f"Received: '{weights}' ({error.strerror})."
        ) from error
