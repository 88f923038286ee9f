"""Networks as ONNX files."""

from __future__ import annotations

from pathlib import Path

from actreel.models.parts import ENCODER, HEAD
from actreel.quiet_keras import keras, tf


def export_onnx(model: keras.Model, path: Path) -> None:
    """Writes a model as ONNX; the inputs keep their names and take batches of any size."""
    import tf2onnx  # few need it

    specs = [tf.TensorSpec((None, *size.shape[1:]), size.dtype, name=size.name) for size in model.inputs]
    # Not with `model.export`, which traces each network within the network too, for a format that is not written.
    run = tf.function(lambda clips: model(clips, training=False), autograph=False)
    tf2onnx.convert.from_function(run, input_signature=[specs if len(specs) > 1 else specs[0]], output_path=str(path))


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
