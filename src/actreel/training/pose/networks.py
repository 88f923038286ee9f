"""From TFLite files to ONNX: BlazePose's networks with the same weights and numbers.

tf2onnx reads no sparse weights, which the detection network has: they are made dense first, as the operator DENSIFY in
the file does whenever it is run.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from actreel.quiet_keras import stderr_closed, tflite_modules  # first, so that TensorFlow starts quietly

# isort: split
import tf2onnx

schema, flatbuffer_utils = tflite_modules()

OPSET = 16
"""The first with GridSample."""

_TYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}


def onnx_of(tflite: bytes) -> onnx.ModelProto:
    """Converts a network of TFLite to ONNX; inputs and outputs keep their names, shapes and order.

    Raises:
        ValueError: It holds a kind of sparse weights, or an operator, that cannot be converted.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "network.tflite"
        file.write_bytes(dense(tflite))
        # tf2onnx runs TFLite's interpreter, which speaks of its delegate, and of the TensorFlow that may drop it.
        with warnings.catch_warnings(), stderr_closed():
            warnings.simplefilter("ignore", UserWarning)
            model: onnx.ModelProto = tf2onnx.convert.from_tflite(str(file), opset=OPSET)[0]
    return model


def dense(tflite: bytes) -> bytes:
    """The same network with dense weights only, and without the operators that made them dense."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(tflite))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.sparsity is not None:
                buffer = model.buffers[tensor.buffer]
                buffer.data = np.frombuffer(_filled(tensor, bytes(buffer.data)).tobytes(), np.uint8)
                tensor.sparsity = None
        makes_dense = [codes[each.opcodeIndex] == schema.BuiltinOperator.DENSIFY for each in graph.operators]
        same = {
            int(each.outputs[0]): int(each.inputs[0])
            for each, drop in zip(graph.operators, makes_dense, strict=True)
            if drop
        }
        graph.operators = [each for each, drop in zip(graph.operators, makes_dense, strict=True) if not drop]
        for each in graph.operators:
            each.inputs = np.array([same.get(int(number), int(number)) for number in each.inputs], np.int32)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _filled(tensor: Any, values: bytes) -> np.ndarray[Any, Any]:
    """A tensor's weights, from those of a compressed last axis; (rows, length of the last axis)."""
    sparsity = tensor.sparsity
    *others, last = sparsity.dimMetadata
    rows_are_dense = all(each.format == schema.DimensionType.DENSE for each in others)
    in_order = list(sparsity.traversalOrder) == list(range(len(tensor.shape)))
    if not (rows_are_dense and in_order and last.format == schema.DimensionType.SPARSE_CSR) or sparsity.blockMap:
        raise ValueError(f"sparse weights must be compressed along the last axis alone. Received: {tensor.name}")
    ends, columns = (np.asarray(each.values, np.int64) for each in (last.arraySegments, last.arrayIndices))
    filled = np.zeros((len(ends) - 1, tensor.shape[-1]), _TYPES[tensor.type])
    filled[np.repeat(np.arange(len(filled)), np.diff(ends)), columns] = np.frombuffer(values, filled.dtype)
    return filled
