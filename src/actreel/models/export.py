"""Networks as ONNX files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from actreel.models.parts import ENCODER, HEAD
from actreel.quiet_keras import keras


def export_onnx(model: keras.Model, path: Path) -> None:
    """Writes a model as ONNX; the inputs keep their names and take batches of any size."""
    zeros = [np.zeros((1, *size.shape[1:]), dtype=size.dtype) for size in model.inputs]
    model(zeros if len(zeros) > 1 else zeros[0])  # Keras exports only a model that has been called
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras probes for `np.object`, which numpy removed
        model.export(path, format="onnx", verbose=False)


def export_parts(model: keras.Model, encoder: Path, head: Path) -> None:
    """Writes the encoder and the head of a whole model as two ONNX files, if the encoder sees one frame at a time.

    It does not if it also takes the change since the frame before, if it only passes frames on, or if there is none but
    the head. Then no files are written, and those of an earlier model are deleted.
    """
    for file in (encoder, head):
        file.unlink(missing_ok=True)
    if model.name == HEAD:
        return
    frames, features = model.get_layer(ENCODER).input.shape, model.get_layer(ENCODER).output.shape
    if frames[1:] == model.input.shape[2:] and len(features) == 2:
        export_onnx(model.get_layer(ENCODER), encoder)
        export_onnx(model.get_layer(HEAD), head)
