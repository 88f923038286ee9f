"""Puts the arithmetic on pixels in front of an encoder, so that it takes uint8 frames as our own encoders do."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, version_converter

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.training.onnx_files.graphs import Line, chain, opset_of
from actreel.training.onnx_files.reading import EncoderFile, dims_of

FRAMES, FEATURES = "frames", "features"
"""The input and the output of a wrapped encoder."""

OLDEST_OPSET = 15
"""Of operators; files with older ones are converted. Keras exports heads in this one."""

_SAME = 1e-3
"""How far a picture's features may be apart, alone and beside another one, in units of the largest feature."""


@dataclass(frozen=True)
class Wrapped:
    """An encoder that takes frames as they are stored.

    Attributes:
        model: From `frames`, uint8 (n, H, W, 3) or for a video encoder (n, K, H, W, 3), RGB, to `features`, float32
            (n, F).
        size: F.
    """

    model: onnx.ModelProto
    size: int


def wrap_encoder(encoder: EncoderFile, spec: ClipSpec) -> Wrapped:
    """Wraps an encoder for clips of these settings, and tries it out on two pictures or clips of noise.

    Raises:
        ModelError: It cannot be converted, does not run, or what it gives is not one vector for each input.
    """
    own = _own_part(encoder)
    opset = opset_of(own)
    try:
        model = chain([_front(encoder, spec, opset), own, _back(encoder, opset)])
    except Exception as error:  # onnx's checker's, and those of compose
        raise ModelError(
            f"'{encoder.path.name}' must be a valid ONNX model. Received: {_first_line(error)}. Export it again."
        ) from error
    size = _try_out(encoder, model, spec)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = size
    return Wrapped(model, size)


def _front(encoder: EncoderFile, spec: ClipSpec, opset: int) -> onnx.ModelProto:
    """From frames to the encoder's input."""
    settings = encoder.settings
    height, width = settings.size
    steps = [settings.frames] if settings.frames else []
    line = Line(FRAMES, TensorProto.UINT8, ["N", *steps, *spec.shape[1:]], opset)
    if steps:
        line.add("Reshape", [-1, *spec.shape[1:]])
    line.add("Cast", to=TensorProto.FLOAT).add("Transpose", perm=[0, 3, 1, 2])
    if (height, width) != (spec.height, spec.width):
        # As Keras's resize does for our own encoders.
        scales = np.array([1, 1, _factor(spec.height, height), _factor(spec.width, width)], dtype=np.float32)
        line.add("Resize", None, scales, mode="linear", coordinate_transformation_mode="half_pixel")
    if settings.channels == "bgr":
        line.add("Gather", [2, 1, 0], axis=1)
    low, high = settings.range
    mean, std = (np.array(each).reshape(1, 3, 1, 1) for each in (settings.mean, settings.std))
    line.add("Mul", ((high - low) / 255 / std).astype(np.float32))
    line.add("Add", ((low - mean) / std).astype(np.float32))
    if steps:
        line.add("Reshape", [-1, *steps, 3, height, width])
    order = "NTCHW" if steps else "NCHW"
    if settings.layout != order:
        line.add("Transpose", perm=[order.index(axis) for axis in settings.layout])
    kind = encoder.input.type.tensor_type.elem_type
    line.add("Cast", to=kind)
    sizes: dict[str, int | str] = {"N": "N", "C": 3, "H": height, "W": width, "T": settings.frames or 0}
    return line.end("input", kind, [sizes[axis] for axis in settings.layout])


def _factor(before: int, after: int) -> np.float32:
    """The factor of a side; the runtime rounds down what a side becomes, so it is never too small by a rounding."""
    factor = np.float32(after / before)
    return factor if float(factor) * before >= after else np.nextafter(factor, np.float32(np.inf))


def _back(encoder: EncoderFile, opset: int) -> onnx.ModelProto:
    """From the encoder's output to features."""
    settings, dims = encoder.settings, dims_of(encoder.output)
    shape: list[int | str] = ["N", *(dim or f"axis{axis}" for axis, dim in enumerate(dims[1:], 1))]
    line = Line("given", encoder.output.type.tensor_type.elem_type, shape, opset).add("Cast", to=TensorProto.FLOAT)
    if len(dims) == 3 and settings.pool == "first":
        line.add("Gather", 0, axis=1)
    elif len(dims) == 3:
        line.mean([1])
    elif len(dims) > 3:
        channels_first = settings.layout.index("C") < settings.layout.index("H")
        line.mean(range(2, len(dims)) if channels_first else range(1, len(dims) - 1))
    return line.end(FEATURES, TensorProto.FLOAT, ["N", "F"])


def _own_part(encoder: EncoderFile) -> onnx.ModelProto:
    """A copy with its one output, operators that are new enough, and shapes inside left open."""
    model = copy.deepcopy(encoder.model)
    version = opset_of(model)
    if version < OLDEST_OPSET:
        try:
            model = version_converter.convert_version(model, OLDEST_OPSET)
        except Exception as error:  # the converter's, in C++
            raise ModelError(
                f"'{encoder.path.name}' has operators of opset {version}, which cannot be converted to "
                f"{OLDEST_OPSET}: {_first_line(error).rpartition('failed: ')[2]}. Export it again with opset 17."
            ) from error
    del model.metadata_props[:]
    del model.graph.value_info[:]  # it may name a fixed number of pictures
    output = next(each for each in model.graph.output if each.name == encoder.output.name)
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(output)
    del model.graph.output[:]
    model.graph.output.append(kept)
    return model


def _try_out(encoder: EncoderFile, model: onnx.ModelProto, spec: ClipSpec) -> int:
    """The number of features, from two inputs of noise, together and one by one."""
    settings, name = encoder.settings, encoder.path.name
    steps = [settings.frames] if settings.frames else []
    noise = np.random.default_rng(0).integers(0, 256, (2, *steps, *spec.shape[1:]), dtype=np.uint8)
    what = "clips" if steps else "pictures"
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), _quiet(), providers=["CPUExecutionProvider"])
        alone = [_features(session, noise[each : each + 1]) for each in range(2)]
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run '{name}': {_first_line(error)}. Check its settings, or "
            "export it again with opset 17."
        ) from error
    if any(each.ndim != 2 or len(each) != 1 for each in alone) or alone[0].shape != alone[1].shape:
        raise ModelError(
            f"An ONNX encoder must give one vector of the same length for each of its {what}. '{name}' gives arrays of "
            f"{' and '.join(str(each.shape) for each in alone)}. Name another of its outputs in "
            f"'{encoder.path.with_suffix('.yaml')}', or export it again."
        )
    if not np.isfinite(alone).all():
        raise ModelError(f"'{name}' gives numbers that are not finite. Check its range, mean and std.")
    try:
        both, single = _features(session, noise), np.concatenate(alone)
        same = both.shape == single.shape and np.abs(both - single).max() <= _SAME * np.abs(single).max()
    except Exception:  # as above
        same = False
    if not same:
        raise ModelError(
            f"An ONNX encoder must take any number of {what} at once, each by itself. '{name}' takes one only, or "
            "mixes them. Export it with a first axis of any size: "
            "torch.onnx.export(…, dynamic_axes={'input': {0: 'N'}})"
        )
    return int(alone[0].shape[1])


def _features(session: onnxruntime.InferenceSession, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(session.run(None, {FRAMES: frames})[0])


def _quiet() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it would log is in the error
    return options


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
