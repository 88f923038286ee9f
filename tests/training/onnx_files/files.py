"""Tiny encoders as ONNX files, for pictures and for clips, and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

PIXELS = {"range": [0, 1], "mean": [0.4, 0.5, 0.6], "std": 0.25}
CLIP = PIXELS | {"layout": "NTCHW", "stride": 1}

Outputs = Mapping[str, Sequence[int | str]]


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    input_shape: Sequence[int | str],
    outputs: Outputs,
    weights: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
    inputs: Sequence[str] = ("x",),
    settings: Mapping[str, Any] | None = None,
    properties: Mapping[str, str] | None = None,
    **options: Any,
) -> Path:
    """Writes a graph from `x`, and its settings to the YAML file beside it."""
    taken = [helper.make_tensor_value_info(name, kind, input_shape) for name in inputs]
    given = [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    domains = {node.domain for node in nodes if node.domain}
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    graph = helper.make_graph(nodes, "encoder", taken, given, constants)
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    helper.set_model_props(model, dict(properties or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path, **options)
    if settings is not None:
        path.with_suffix(".yaml").write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
    return path


def image_encoder(
    path: Path,
    shape: Sequence[int | str] = ("N", 3, 16, 16),
    settings: Mapping[str, Any] | None = PIXELS,
    **changes: Any,
) -> Path:
    """An encoder of pictures, (N, 3, 16, 16) to `y`, (N, 8): a convolution and the mean over places."""
    kind = changes.get("kind", TensorProto.FLOAT)
    kernel = np.random.default_rng(0).normal(0, 0.3, (8, 3, 3, 3)).astype(helper.tensor_dtype_to_np_dtype(kind))
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["maps"], strides=[2, 2]),
        helper.make_node("Relu", ["maps"], ["shown"]),
        helper.make_node("GlobalAveragePool", ["shown"], ["means"]),
        helper.make_node("Flatten", ["means"], ["y"]),
    ]
    outputs: Outputs = changes.pop("outputs", {"y": ["N", 8]})
    return save(path, nodes, shape, outputs, {"kernel": kernel}, settings=settings, **changes)


def video_encoder(
    path: Path,
    shape: Sequence[int | str] = ("N", 4, 3, 8, 8),
    settings: Mapping[str, Any] | None = CLIP,
    **changes: Any,
) -> Path:
    """An encoder of clips of 4 frames, (N, 4, 3, 8, 8) to `y`, (N, 6): each channel's brightness and its trend."""
    trend = np.array([-3, -1, 1, 3], dtype=np.float32).reshape(1, 4, 1) / 4
    nodes = [
        helper.make_node("ReduceSum", ["x", "places"], ["sums"], keepdims=0),
        helper.make_node("Mul", ["sums", "share"], ["light"]),
        helper.make_node("Mul", ["light", "trend"], ["slopes"]),
        helper.make_node("ReduceSum", ["light", "time"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["slopes", "time"], ["slope"], keepdims=0),
        helper.make_node("Concat", ["total", "slope"], ["y"], axis=1),
    ]
    weights = {"trend": trend, "share": np.float32(1 / 64 / 4), "places": [3, 4], "time": [1]}
    outputs: Outputs = changes.pop("outputs", {"y": ["N", 6]})
    return save(path, nodes, shape, outputs, weights, settings=settings, **changes)
