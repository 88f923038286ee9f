"""Joins a wrapped encoder and an exported head into one ONNX model, from clips to answers."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, version_converter

from actreel.training.onnx_files.graphs import Line, chain, opset_of
from actreel.training.onnx_files.reading import dims_of, inputs_of
from actreel.training.onnx_files.wrapping import Wrapped

CLIP = "clip"


def join_parts(
    encoder: Wrapped, head: onnx.ModelProto, clip: tuple[int, ...], windows: NDArray[np.int64] | None
) -> onnx.ModelProto:
    """Joins both parts.

    Args:
        encoder: From `wrap_encoder`.
        head: From float32 (N, M, F) to the outputs of a classifier.
        clip: Shape of a clip, (T, H, W, 3).
        windows: int64 (M, K), for a video encoder the frames that become each vector; None for one of pictures.

    Returns:
        From `clip`, uint8 (N, T, H, W, 3), to the head's outputs, under their names.
    """
    opset = opset_of(encoder.model)
    if opset_of(head) < opset:
        head = version_converter.convert_version(head, opset)
    cut = Line(CLIP, TensorProto.UINT8, ["N", *clip], opset)
    if windows is not None:
        cut.add("Gather", windows.reshape(-1), axis=1)
    (frames,), (features,) = inputs_of(encoder.model), inputs_of(head)
    one = [int(dim or 0) for dim in dims_of(frames)[1:]]
    several = [int(dim or 0) for dim in dims_of(features)[1:]]
    fold = Line("vectors", TensorProto.FLOAT, ["N", encoder.size], opset).add("Reshape", [-1, *several])
    return chain([
        cut.add("Reshape", [-1, *one]).end("cut", TensorProto.UINT8, ["N", *one]),
        encoder.model,
        fold.end("folded", TensorProto.FLOAT, ["N", *several]),
        head,
    ])  # fmt: skip
