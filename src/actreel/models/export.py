"""Networks as ONNX files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from actreel.models.parts import ENCODER, HEAD


def export_onnx(model: Any, path: Path) -> None:
    """Writes a model as ONNX, with its input's name, and a batch of any size."""
    (size,) = model.inputs
    model(np.zeros((1, *size.shape[1:]), dtype=size.dtype))  # Keras exports only a model that has been called
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks numpy for `np.object` to see that it is gone
        model.export(path, format="onnx", verbose=False)


def export_parts(model: Any, encoder: Path, head: Path) -> None:
    """Writes the two parts of a whole model as ONNX, if the first one sees each frame of a video by itself.

    It does not where it is given how the frame differs from the one before, or where it only passes frames on: then
    there are no such files, nor stay those of another model.
    """
    for file in (encoder, head):
        file.unlink(missing_ok=True)
    frames, features = model.get_layer(ENCODER).input.shape, model.get_layer(ENCODER).output.shape
    if frames[1:] == model.input.shape[2:] and len(features) == 2:
        export_onnx(model.get_layer(ENCODER), encoder)
        export_onnx(model.get_layer(HEAD), head)
