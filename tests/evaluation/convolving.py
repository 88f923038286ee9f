"""A model made by hand whose network has what int8 rounds."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from actreel.config import ClipSpec
from actreel.inference.model_folder import ENCODER_FILE, ONNX_FILE
from tests.conftest import write_model_folder


def write_convolving_model(
    folder: Path, spec: ClipSpec, labels: tuple[str, ...], *, in_parts: bool = True, outlier: float = 1.0
) -> Path:
    """The model folder of `write_model_folder`, with brightness as the mean of a convolution.

    Args:
        folder: The model folder.
        spec: Clip settings.
        labels: Of ever brighter clips.
        in_parts: Whether encoder and head lie beside the whole.
        outlier: How many times as large a second channel is, which the convolution gives and nothing uses; int8 has one
            scale for both, so that a large one drowns the brightness.
    """
    write_model_folder(folder, spec, labels, max_distance=0.15, in_parts=in_parts)
    for file, axes in ((ONNX_FILE, [0, 4, 1, 2, 3]), (ENCODER_FILE, [0, 3, 1, 2])):
        if (folder / file).exists():
            _convolve(folder / file, axes, outlier)
    return folder


def _convolve(file: Path, axes: list[int], outlier: float) -> None:
    """Replaces the mean over pixels; `axes` puts the channels first."""
    model = onnx.load(file)
    kernel = np.full((2, 3, *[1] * (len(axes) - 2)), 1 / 3, dtype=np.float32)
    kernel[1] *= outlier
    before, after = model.graph.node[0], list(model.graph.node)[2:]
    mean = [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=axes),
        helper.make_node("Conv", ["planes", "kernel"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["both"]),
        helper.make_node("Gather", ["both", "first"], ["mean"], axis=1),
    ]
    nodes = [before, *mean, *after]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.remove(next(each for each in model.graph.initializer if each.name == "axes"))
    model.graph.initializer.append(numpy_helper.from_array(kernel, "kernel"))
    model.graph.initializer.append(helper.make_tensor("first", TensorProto.INT64, [], [0]))
    onnx.checker.check_model(model)
    onnx.save(model, file)
