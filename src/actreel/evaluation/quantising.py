"""Rounds a model's network to int8, by ONNX Runtime's static quantisation: weights, and what flows between operators.

The ranges of what flows are measured on training clips. Where the network is in two parts, only the encoder is rounded:
it does nearly all of the arithmetic, and the head's distance decides what is unknown.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from actreel.errors import ModelError
from actreel.inference.manifest import ClassifierCard, Int8
from actreel.inference.model_folder import ModelFolder

CALIBRATION_CLIPS = 32
"""Most training clips that the ranges are measured on; more change them little."""

_IN_ENCODERS = ["Conv", "MatMul", "Gemm", "Add", "Clip", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool"]
_IN_WHOLE_NETWORKS = ["Conv"]
"""A whole network ends with the distance and the probabilities, which stay as they are."""
_DEEP = 12
"""Convolutions from which on a network can spare its first ones."""


def quantise(folder: Path, clips: Iterable[NDArray[np.uint8]], digests: Iterable[str], target: Path) -> None:
    """Writes a model folder with the same model in int8: its networks and its manifest.

    Args:
        folder: The model folder.
        clips: Training clips, uint8 (T, H, W, 3) each, with the model's clip settings.
        digests: Their sha256, for the manifest.
        target: A folder that exists.

    Raises:
        ModelError: The network has nothing that can be rounded, or ONNX Runtime cannot round it.
    """
    files, written = ModelFolder(folder), ModelFolder(target)
    card = ClassifierCard.model_validate_json(files.manifest.read_text(encoding="utf-8"))
    first, *others = files.network_files()
    in_parts = bool(others)
    batches = _as_input(clips, card) if in_parts else (clip[np.newaxis] for clip in clips)
    _quantise_network(first, batches, written.path / first.name, _IN_ENCODERS if in_parts else _IN_WHOLE_NETWORKS)
    for file in others:
        (written.path / file.name).write_bytes(file.read_bytes())
    told = sorted(digests)
    changes: dict[str, Any] = {
        "int8": Int8(
            calibration_clips=len(told),
            calibration_sha256=hashlib.sha256("\n".join(told).encode()).hexdigest(),
            onnxruntime=onnxruntime.__version__,
        )
    }
    if card.encoder is not None and in_parts:
        digest = hashlib.sha256(written.encoder.read_bytes()).hexdigest()
        changes["encoder"] = card.encoder.model_copy(update={"sha256": digest})
    card.model_copy(update=changes).save(target)


def _as_input(clips: Iterable[NDArray[np.uint8]], card: ClassifierCard) -> Iterator[NDArray[np.uint8]]:
    """What the encoder is given for each clip: its frames, or a video encoder's windows of them."""
    windows = card.encoder.windows(card.clip) if card.encoder else None
    for clip in clips:
        yield clip if windows is None else clip[windows.indices]


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """Hands batches to ONNX Runtime, one by one."""

    def __init__(self, name: str, batches: Iterable[NDArray[np.uint8]]) -> None:
        self._name = name
        self._batches = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch by the input's name; None after the last one."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def _first_block(graph: onnx.GraphProto) -> list[str]:
    """The nodes up to the third convolution of a deep network, which take the pixels: rounding them costs the most."""
    convolutions = [place for place, node in enumerate(graph.node) if node.op_type == "Conv"]
    if len(convolutions) < _DEEP:
        return []
    return [node.name for node in graph.node[: convolutions[2] + 1] if node.name]


def _quantise_network(file: Path, batches: Iterable[NDArray[np.uint8]], target: Path, operators: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / file.name
        try:
            # Folds what can be folded. Of the shapes it needs none that sympy would work out.
            quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)
            graph = onnx.load(prepared, load_external_data=False).graph
            (taken,) = graph.input
            quantize_static(
                str(prepared),
                str(target),
                _Batches(taken.name, batches),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=operators,
                nodes_to_exclude=_first_block(graph),
                per_channel=True,
                # Seven bits of each weight: sums of eight overflow on processors without VNNI, and the answers of two
                # machines would differ.
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # ONNX Runtime's errors have no common base class
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
            raise ModelError(
                f"ONNX Runtime {onnxruntime.__version__} cannot round '{file.name}' to int8: {first}."
            ) from error
    if not any(node.op_type == "QuantizeLinear" for node in onnx.load(target).graph.node):
        raise ModelError(f"'{file.name}' has no operator that can be rounded to int8: {', '.join(operators)}.")
