"""Encoders from ONNX files that users bring: read, checked, wrapped for our frames, and joined to a head."""

from actreel.training.onnx_files.joining import in_windows, join_parts, side_by_side
from actreel.training.onnx_files.reading import EncoderFile, num_parameters, read_encoder
from actreel.training.onnx_files.settings import EncoderSettings
from actreel.training.onnx_files.wrapping import FEATURES, FRAMES, Wrapped, wrap_encoder

__all__ = [
    "FEATURES",
    "FRAMES",
    "EncoderFile",
    "EncoderSettings",
    "Wrapped",
    "in_windows",
    "join_parts",
    "num_parameters",
    "read_encoder",
    "side_by_side",
    "wrap_encoder",
]
