"""BlazePose as one ONNX graph, from a clip's frames to landmarks: detection, tracking and both networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper, parser

from actreel.config import ClipSpec
from actreel.quiet_keras import tf  # before tf2onnx, so that TensorFlow starts quietly
from actreel.training.onnx_files import FEATURES as FEATURES_NAME
from actreel.training.onnx_files import FRAMES
from actreel.training.pose import geometry
from actreel.training.pose.geometry import DETECTION_SIDE, FEATURES, LANDMARK_SIDE
from actreel.training.pose.networks import OPSET

# isort: split
import tf2onnx

_DOMAIN = "pose"
_FORMAT = 8

# In each frame at most two attempts: where the person before is followed and lost, the whole frame is searched.
_TRACKING = f"""
<ir_version: {_FORMAT}, opset_import: ["" : {OPSET}, "{_DOMAIN}" : 1]>
pose (uint8[N, H, W, 3] {FRAMES}) => (float[N, F] {FEATURES_NAME}, float[N] people) {{
   shape = Shape ({FRAMES})
   first = Constant <value = int64 {{0}}> ()
   count = Gather (shape, first)
   two = Constant <value = int64 {{2}}> ()
   yes = Constant <value = bool {{1}}> ()
   nowhere = Constant <value = float[4] {{0, 0, 0, 0}}> ()
   uncounted = Constant <value = float {{0}}> ()
   last, {FEATURES_NAME}, people = Loop (count, yes, nowhere) <body = each_frame
      (int64 number, bool goes, float[4] before) => (bool goes_on, float[4] region_after, float[F] row, float crowd) {{
      goes_on = Identity (goes)
      frame = Gather ({FRAMES}, number)
      position = Mod (number, clip_frames)
      kept = Gather (keeps_track, position)
      start = Mul (before, kept)
      region_after, row, crowd = Loop (two, yes, start, nothing, uncounted) <body = attempt
         (int64 again, bool lost, float[4] known, float[F] old, float told)
         => (bool search, float[4] after, float[F] landmarks, float counted) {{
         followed = pose.Somewhere (known)
         region, counted = If (followed) <
            then_branch = follow () => (float[4] same, float as_told) {{
               same = Identity (known)
               as_told = Identity (told)
            }},
            else_branch = detect () => (float[4] found, float several) {{
               view = pose.Overview (frame, whole)
               boxes, scores = pose.Detection (view)
               found = pose.LargestPerson (boxes, scores, whole)
               several = pose.CountPeople (boxes, scores)
            }}
         >
         to_look_at = pose.Somewhere (region)
         after, landmarks = If (to_look_at) <
            then_branch = look () => (float[4] following, float[F] numbers) {{
               part = pose.Closeup (frame, region)
               raw, present = pose.Landmarks (part)
               following, numbers = pose.Describe (raw, present, region, whole)
            }},
            else_branch = nobody () => (float[4] none, float[F] zeros) {{
               none = Identity (nowhere)
               zeros = Identity (nothing)
            }}
         >
         seen = pose.Somewhere (after)
         unseen = Not (seen)
         search = And (followed, unseen)
      }}>
   }}>
}}
"""

_SOMEWHERE = f"""
<opset_import: ["" : {OPSET}], domain: "{_DOMAIN}">
Somewhere (region) => (somewhere) {{
   size = ReduceSumSquare <keepdims = 0> (region)
   none = Constant <value = float {{0}}> ()
   somewhere = Greater (size, none)
}}
"""

_VIEW = f"""
<opset_import: ["" : {OPSET}, "{_DOMAIN}" : 1], domain: "{_DOMAIN}">
%(name)s (frame, region) => (view) {{
   places = pose.%(name)sPlaces (region)
   pixels = Cast <to = 1> (frame)
   planes = Transpose <perm = [2, 0, 1]> (pixels)
   axis = Constant <value = int64[1] {{0}}> ()
   image = Unsqueeze (planes, axis)
   sampled = GridSample <align_corners = 0> (image, places)
   part = Transpose <perm = [0, 2, 3, 1]> (sampled)
   unit = Constant <value = float {{%(unit)g}}> ()
   scaled = Div (part, unit)
   low = Constant <value = float {{%(low)g}}> ()
   view = Add (scaled, low)
}}
"""


def pose_graph(detection: onnx.ModelProto, landmarks: onnx.ModelProto, spec: ClipSpec) -> onnx.ModelProto:
    """Joins both networks.

    The person is detected in the first frame and in the middle of a clip, and where tracking is lost; in all other
    frames, the landmarks of the frame before say where to look. A long video's windows overlap by half a clip, so they
    detect in the same frames, and share the others.

    Args:
        detection: From `onnx_of`.
        landmarks: From `onnx_of`.
        spec: Clip settings.

    Returns:
        From `frames`, uint8 (n, H, W, 3), RGB, the frames of clips or half clips in order, to `features`, float32
        (n, 136), and `people`, float32 (n,): how many were detected, 0 where nobody was looked for.
    """
    model = parser.parse_model(_TRACKING)
    size = (spec.height, spec.width)
    region, frame = (4,), geometry.whole(*size)
    model.functions.extend([
        parser.parse_function(_SOMEWHERE),
        *_view("Overview", DETECTION_SIDE, size, unit=127.5, low=-1),
        *_view("Closeup", LANDMARK_SIDE, size, unit=255, low=0),
        _function("Detection", detection.graph, outputs=2),
        _function("Landmarks", landmarks.graph, outputs=2),  # of five: no mask, heat maps or metres
        _converted("LargestPerson", geometry.largest_person, (1, 2254, 12), (1, 2254, 1), region),
        _converted("CountPeople", geometry.count_people, (1, 2254, 12), (1, 2254, 1)),
        _converted("Describe", geometry.describe, (1, 5 * geometry.POINTS), (1, 1), region, region),
    ])  # fmt: skip
    half = max(1, spec.num_frames // 2)
    constants: dict[str, Any] = {
        "whole": frame,
        "clip_frames": np.int64(spec.num_frames),
        "keeps_track": (np.arange(spec.num_frames) % half > 0).astype(np.float32),
        "nothing": np.zeros(FEATURES, np.float32),
    }
    # No initializers: onnx.compose, which joins the head, gives those inside loops no new name.
    tracking = _constants({name: numpy_helper.from_array(np.asarray(each)) for name, each in constants.items()})
    tracking += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(tracking)
    model = inliner.inline_local_functions(model)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    _set_sizes(model.graph.input[0], ("N", *spec.shape[1:]))
    _set_sizes(model.graph.output[0], ("N", FEATURES))
    onnx.checker.check_model(model)
    return model


def count_weights(graph: onnx.GraphProto) -> int:
    """Numbers in the weights of a graph and of the branches and loops in it."""
    own: int = sum(math.prod(each.dims) for each in graph.initializer)
    for attribute in (each for node in graph.node for each in node.attribute):
        own += count_weights(attribute.g) if attribute.HasField("g") else math.prod(attribute.t.dims or [0])
    return own


def _view(name: str, side: int, size: tuple[int, int], *, unit: float, low: float) -> Iterable[onnx.FunctionProto]:
    """A function that cuts a region out of a frame and scales its pixels; black where the frame ends."""
    yield parser.parse_function(_VIEW % {"name": name, "unit": unit, "low": low})
    yield _converted(f"{name}Places", lambda region: geometry.sample_places(side, region, *size), (4,))


def _converted(name: str, function: Callable[..., Any], *shapes: tuple[int, ...]) -> onnx.FunctionProto:
    signature = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    model, _ = tf2onnx.convert.from_function(
        tf.function(function, autograph=False), input_signature=signature, opset=OPSET
    )
    return _function(name, model.graph, outputs=len(model.graph.output))


def _function(name: str, graph: onnx.GraphProto, outputs: int) -> onnx.FunctionProto:
    """A graph as a function with its first outputs, without what only the others need."""
    constants = _constants({each.name: each for each in graph.initializer})
    wanted = [output.name for output in graph.output[:outputs]]
    return helper.make_function(
        _DOMAIN, name, [each.name for each in graph.input], wanted, _needed([*constants, *graph.node], wanted),
        [helper.make_opsetid("", OPSET)],
    )  # fmt: skip


def _constants(values: Mapping[str, onnx.TensorProto]) -> list[onnx.NodeProto]:
    return [helper.make_node("Constant", [], [name], value=value) for name, value in values.items()]


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]


def _set_sizes(value: onnx.ValueInfoProto, sizes: Sequence[int | str]) -> None:
    for dim, size in zip(value.type.tensor_type.shape.dim, sizes, strict=True):
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size
