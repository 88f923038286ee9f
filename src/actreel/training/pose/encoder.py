"""The encoder `pose`: each frame's largest person, as BlazePose's 33 landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.manifest import OnnxEncoder
from actreel.training.graph_encoder import GraphEncoder
from actreel.training.onnx_files import Wrapped
from actreel.training.pose.files import DETECTION, LANDMARKS, SHA256, WHEEL, read_network


@dataclass(frozen=True)
class PoseEncoder(GraphEncoder):
    """BlazePose for clips of certain settings.

    Attributes:
        detection: The detection network's file.
        landmarks: The landmark network's file.
    """

    detection: bytes
    landmarks: bytes

    @classmethod
    def read(cls, spec: ClipSpec) -> Self:
        """Reads the networks.

        Raises:
            ModelError: They are not there.
        """
        return cls(spec, None, read_network(DETECTION), read_network(LANDMARKS))

    @property
    def name(self) -> str:
        """BlazePose, and where it comes from."""
        return f"BlazePose of {WHEEL}"

    @property
    def key(self) -> Mapping[str, Any]:
        """The digests of both files."""
        return {"weights": " ".join(SHA256[name] for name in (DETECTION, LANDMARKS))}

    @cached_property
    def wrapped(self) -> Wrapped:
        """Both networks as one graph, which detects and tracks."""
        # Imported here because they load TensorFlow, which a complete store of features does not need.
        from actreel.training.pose.geometry import FEATURES
        from actreel.training.pose.graph import pose_graph
        from actreel.training.pose.networks import onnx_of

        return Wrapped(pose_graph(onnx_of(self.detection), onnx_of(self.landmarks), self.spec), FEATURES)

    @staticmethod
    def mirrored(features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Landmarks are mirrored as they are: no frame is encoded twice."""
        from actreel.training.pose.geometry import mirrored

        return mirrored(features)

    def described(self, sha256: str) -> OnnxEncoder:
        """What the manifest says of it."""
        from actreel.training.pose.graph import count_weights

        parameters = count_weights(self.wrapped.model.graph)
        return OnnxEncoder(file=self.name, file_sha256=SHA256[LANDMARKS], sha256=sha256, parameters=parameters)
