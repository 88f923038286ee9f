"""Stand-ins for BlazePose's networks, which see light instead of people, and the real ones where they are at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.training.pose import encoder, geometry, graph, networks
from actreel.training.pose.files import DETECTION, LANDMARKS, read_network

_pose_graph = graph.pose_graph  # the real one, while another is in its place

SHRINKS = 0.8
"""What the region of a person who is followed shrinks by from frame to frame."""

FIRST_SIDE = 0.5
"""The side of the region around somebody who is detected, as a share of the frame's."""

_DETECTION = """
<ir_version: 8, opset_import: ["" : 16]>
detection (float[1, 224, 224, 3] picture) => (float[1, 2254, 12] boxes, float[1, 2254, 1] scores) {
   light = ReduceMax <keepdims = 0> (picture)
   dim = Constant <value = float {-0.5}> ()
   above = Sub (light, dim)
   sharp = Constant <value = float {20}> ()
   score = Mul (above, sharp)
   scores = Mul (score, ones)
   boxes = Identity (places)
}
"""

_LANDMARKS = """
<ir_version: 8, opset_import: ["" : 16]>
landmarks (float[1, 256, 256, 3] picture) => (float[1, 195] points, float[1, 1] person, float[1, 3] colour) {
   light = ReduceMean <axes = [1, 2, 3], keepdims = 1> (picture)
   colour = ReduceMean <axes = [1, 2], keepdims = 0> (picture)
   form = Constant <value = int64[2] {1, 1}> ()
   mean = Reshape (light, form)
   person = Add (mean, offset)
   shades = Mul (shading, mean)
   points = Add (standing, shades)
}
"""


def stand_ins() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Networks that detect a person in the middle of a light frame, and see one in a light region.

    The person stands upright, fills half of the frame, and the next region is `SHRINKS` times as large. The first
    landmark's x grows with the light.
    """
    anchors = geometry.anchors()
    boxes = np.zeros((1, 2254, 12), np.float32)
    boxes[0, :, :2] = (0.5 - anchors) * geometry.DETECTION_SIDE
    boxes[0, :, 2:4] = 0.2 * geometry.DETECTION_SIDE
    boxes[0, :, 4:6] = (0.5 - anchors) * geometry.DETECTION_SIDE
    boxes[0, :, 6:8] = boxes[0, :, 4:6] - [0, FIRST_SIDE / 2.5 * geometry.DETECTION_SIDE]
    detection = _with_weights(_DETECTION, places=boxes, ones=np.ones((1, 2254, 1), np.float32))
    shading = np.zeros((1, 195), np.float32)
    shading[0, 0] = 100
    landmarks = _with_weights(
        _LANDMARKS, standing=standing_person(), shading=shading, offset=np.array([[0.3]], np.float32)
    )
    return detection, landmarks


def standing_person() -> NDArray[np.float32]:
    """float32 (1, 195): as the landmark network describes an upright person in the middle of its picture."""
    points = np.zeros((39, 5), np.float32)
    points[:, :2] = 128
    points[[11, 13, 15, 23, 25, 27], 0] += 20  # the person's left is the picture's right
    points[[12, 14, 16, 24, 26, 28], 0] -= 20
    points[:11, 1] -= 96
    points[[11, 12], 1] -= 64
    points[[25, 26], 1] += 40
    points[[27, 28], 1] += 80
    points[geometry.POINTS - 5, 1] -= 256 * SHRINKS / 2.5  # the 34th, on the circle around the body
    points[:33, 3] = 4
    return points.reshape(1, -1)


def real_networks() -> tuple[bytes, bytes]:
    """BlazePose's files; the test is skipped where they were not fetched."""
    try:
        return read_network(DETECTION), read_network(LANDMARKS)
    except ModelError as error:
        pytest.skip(str(error))


@cache
def converted(spec: ClipSpec) -> onnx.ModelProto:
    """The graph of the stand-ins, which takes seconds to convert."""
    return _pose_graph(*stand_ins(), spec)


@contextmanager
def using_stand_ins() -> Iterator[None]:
    """Puts them in place of the real networks."""
    detection, landmarks = stand_ins()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "read_network", str.encode)
        patch.setattr(networks, "onnx_of", lambda content: detection if b"detection" in content else landmarks)
        patch.setattr(graph, "pose_graph", lambda detection, landmarks, spec: converted(spec))
        yield


def _with_weights(text: str, **weights: NDArray[np.float32]) -> onnx.ModelProto:
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in weights.items())
    onnx.checker.check_model(model)
    return model
