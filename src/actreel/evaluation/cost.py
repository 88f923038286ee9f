"""The cost of one prediction: arithmetic and time of the exported network."""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from actreel.base.faults import AGAIN, reading

MOST_RUNS = 30
MOST_SECONDS = 5.0

Shapes = Sequence[Sequence[int]]


def cost_of(model: Path, *clip: NDArray[Any]) -> dict[str, int | float | str]:
    """`flops`, `ms_per_clip` and the `machine` that it was measured on; see `count_flops` and `time_clip`."""
    return {"flops": count_flops(model, *clip), "ms_per_clip": time_clip(model, *clip), "machine": machine()}


def count_flops(model: Path, *clip: NDArray[Any]) -> int:
    """Floating-point operations for one clip, two for each multiply-add.

    Counts convolutions, matrix products and recurrent layers, as is usual, and no element-wise operation (biases,
    activations, pooling, normalisation, resizing). The graph runs once, unoptimised, under ONNX Runtime's profiler,
    which records the shapes of every computed node, in each iteration of a loop.

    Papers that count a multiply-add as one report half of this.

    Args:
        model: An ONNX file.
        clip: An array for each input, such as uint8 (1, T, H, W, 3), RGB.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Without this, the shapes of prepacked weights are missing.
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as scratch:
        options.profile_file_prefix = str(Path(scratch) / "profile")
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        session.run(None, _inputs(session, clip))
        profile = Path(session.end_profiling())
        with reading(profile, f"Is there room on its disk? Then {AGAIN}."):
            events = json.loads(profile.read_text(encoding="utf-8"))
    kernels = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return 2 * sum(
        _multiply_adds(kernel["op_name"], _shapes(kernel["input_type_shape"]), _shapes(kernel["output_type_shape"]))
        for kernel in kernels
    )


def _inputs(session: onnxruntime.InferenceSession, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return dict(zip((taken.name for taken in session.get_inputs()), arrays, strict=True))


def _multiply_adds(operator: str, inputs: Shapes, outputs: Shapes) -> int:
    """The multiply-adds of one computed node; shapes as in ONNX's operator reference."""
    if operator == "Conv":  # weights are (filters, channels / groups, *kernel)
        return prod(outputs[0]) * prod(inputs[1][1:])
    if operator == "MatMul":
        return prod(outputs[0]) * inputs[0][-1]
    if operator == "Gemm":  # either matrix may be transposed
        return prod(outputs[0]) * prod(inputs[0]) // outputs[0][0]
    if operator in ("LSTM", "GRU", "RNN"):  # (T, B, F), and the weights of input and state in each direction
        steps, batch, _ = inputs[0]
        return steps * batch * (prod(inputs[1]) + prod(inputs[2]))
    return 0


def _shapes(tensors: Sequence[Mapping[str, Sequence[int]]]) -> Shapes:
    return [shape for tensor in tensors for shape in tensor.values()]


def time_clip(model: Path, *clip: NDArray[Any]) -> float:
    """Median milliseconds for one clip with ONNX Runtime on one thread, without decoding.

    Args:
        model: An ONNX file.
        clip: An array for each input, such as uint8 (1, T, H, W, 3), RGB.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    inputs = _inputs(session, clip)
    session.run(None, inputs)  # the first run allocates memory
    taken: list[float] = []
    while len(taken) < MOST_RUNS and sum(taken) < MOST_SECONDS:
        start = time.perf_counter()
        session.run(None, inputs)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def machine() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
