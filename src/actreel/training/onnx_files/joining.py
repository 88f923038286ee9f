"""Joins wrapped encoders side by side, and one of them with an exported head into one model, from clips to answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, version_converter

from actreel.training.onnx_files.graphs import Line, chain, concat, copies, fan, opset_of
from actreel.training.onnx_files.reading import dims_of, inputs_of
from actreel.training.onnx_files.wrapping import FEATURES, FRAMES, Wrapped

CLIP, TRACK = "clip", "track"


def join_parts(
    encoder: Wrapped, head: onnx.ModelProto, clip: tuple[int, ...], windows: NDArray[np.int64] | None
) -> onnx.ModelProto:
    """Joins both parts.

    Args:
        encoder: From `wrap_encoder`, or as such: its first output are features. Its others are left out.
        head: From float32 (N, M, F) to the outputs of a classifier. Where F is larger than the encoder's, the rest are
            features of a track.
        clip: Shape of a clip, (T, H, W, 3).
        windows: int64 (M, K), for a video encoder the frames that become each vector; None for one of pictures.

    Returns:
        From `clip`, uint8 (N, T, H, W, 3), to the head's outputs, under their names; with a track from `track`, float32
        (N, T, F'), too.
    """
    vectors = _features_alone(encoder.model)
    opset = opset_of(vectors)
    head = _raised(head, opset)
    cut = Line(CLIP, TensorProto.UINT8, ["N", *clip], opset)
    if windows is not None:
        cut.add("Gather", windows.reshape(-1), axis=1)
    (frames,), (features,) = inputs_of(vectors), inputs_of(head)
    one = [int(dim or 0) for dim in dims_of(frames)[1:]]
    steps, size = (int(dim or 0) for dim in dims_of(features)[1:])
    several = [steps, encoder.size]
    fold = Line("vectors", TensorProto.FLOAT, ["N", encoder.size], opset).add("Reshape", [-1, *several])
    return chain([
        cut.add("Reshape", [-1, *one]).end("cut", TensorProto.UINT8, ["N", *one]),
        vectors,
        fold.end("folded", TensorProto.FLOAT, ["N", *several]),
        *([_beside(encoder.size, size - encoder.size, clip[0], windows, opset)] if size > encoder.size else []),
        head,
    ])  # fmt: skip


def side_by_side(encoders: Sequence[Wrapped]) -> Wrapped:
    """Joins encoders that see the same frames: their features, one after the other."""
    opset = max(opset_of(each.model) for each in encoders)
    models = [_raised(_features_alone(each.model), opset) for each in encoders]
    (frames,) = inputs_of(models[0])
    shape: list[int | str] = ["N", *(int(dim or 0) for dim in dims_of(frames)[1:])]
    sizes = {f"part{number}": each.size for number, each in enumerate(encoders)}
    first = copies(FRAMES, TensorProto.UINT8, shape, len(models), opset)
    return Wrapped(fan(first, models, concat(sizes, FEATURES, ["N"], opset)), sum(sizes.values()))


def in_windows(encoder: Wrapped, window: tuple[int, ...]) -> onnx.ModelProto:
    """An encoder of pictures that sees windows: the mean of its features over their frames.

    Args:
        encoder: From uint8 (n, H, W, 3).
        window: Shape of a window, (K, H, W, 3).

    Returns:
        From uint8 (n, K, H, W, 3) to float32 (n, F).
    """
    opset, (frames, *pixels) = opset_of(encoder.model), window
    cut = Line(FRAMES, TensorProto.UINT8, ["N", *window], opset).add("Reshape", [-1, *pixels])
    fold = Line("vectors", TensorProto.FLOAT, ["N", encoder.size], opset)
    mean = fold.add("Reshape", [-1, frames, encoder.size]).mean([1])
    return chain([
        cut.end("cut", TensorProto.UINT8, ["N", *pixels]),
        _features_alone(encoder.model),
        mean.end(FEATURES, TensorProto.FLOAT, ["N", encoder.size]),
    ])  # fmt: skip


def _beside(size: int, track: int, frames: int, windows: NDArray[np.int64] | None, opset: int) -> onnx.ModelProto:
    """From features (N, M, `size`) and a track (N, T, `track`) to both; of a window, the mean of the track."""
    if windows is None:
        return concat({"seen": size, TRACK: track}, "both", ["N", frames], opset)
    steps, length = windows.shape
    line = Line(TRACK, TensorProto.FLOAT, ["N", frames, track], opset)
    line.add("Gather", windows.reshape(-1), axis=1).add("Reshape", [-1, steps, length, track]).mean([2])
    means = line.end("heard", TensorProto.FLOAT, ["N", steps, track])
    both = concat({"seen": size, "means": track}, "both", ["N", steps], opset)
    joined = compose.merge_models(means, both, [("heard", "means")])
    beside, seen = list(joined.graph.input)
    del joined.graph.input[:]
    joined.graph.input.extend([seen, beside])  # a chain goes on with the first
    return joined


def _features_alone(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """An encoder without the outputs after its first."""
    alone = onnx.ModelProto()
    alone.CopyFrom(encoder)
    del alone.graph.output[1:]
    return alone


def _raised(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A model with operators of at least this version."""
    return model if opset_of(model) >= opset else version_converter.convert_version(model, opset)
