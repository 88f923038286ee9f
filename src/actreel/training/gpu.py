"""What a GPU is used for where there is one, without a setting: encoding, training, and mixed precision in training.

Solved heads, evaluation and service run on the CPU. Nothing here was tried on a GPU.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from actreel.quiet_keras import tf

log = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

Provider = str | tuple[str, Mapping[str, Any]]


def gpus() -> list[tf.config.PhysicalDevice]:
    """The GPUs that TensorFlow has found."""
    return list(tf.config.list_physical_devices("GPU"))


def encoder_providers(compiled: Sequence[str], has_gpu: bool) -> list[Provider]:
    """What ONNX Runtime encodes frames with, the preferred one first.

    Args:
        compiled: What this build of ONNX Runtime has: `onnxruntime.get_available_providers()`; it has CUDA whether or
            not there is a GPU.
        has_gpu: Whether there is one.
    """
    if not has_gpu:
        return [CPU]
    if CUDA not in compiled:
        log.warning(
            "There is a GPU, but this ONNX Runtime cannot use it: frames are encoded on the CPU. Try: make setup GPU=1"
        )
        return [CPU]
    # TF32 has a mantissa of 10 bits: features would differ from those of the service, which runs on the CPU.
    return [(CUDA, {"use_tf32": "0"}), CPU]


def open_encoder(model: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Opens an ONNX file's content on the GPU, or on the CPU where there is none."""
    providers = encoder_providers(onnxruntime.get_available_providers(), bool(gpus()))
    if len(providers) > 1:
        onnxruntime.preload_dlls()  # CUDA's libraries are packages beside it, not on the system's path
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    if len(providers) > 1 and CUDA not in session.get_providers():
        log.warning("ONNX Runtime could not open the GPU: frames are encoded on the CPU. See its message above.")
    return session


def precision_of(asked: str, capabilities: Sequence[tuple[int, int]]) -> str:
    """The Keras policy that training computes in.

    Args:
        asked: `train.precision`.
        capabilities: The compute capability of each GPU, such as (8, 6); empty without one.

    Returns:
        `asked`, or for `auto`: bfloat16 if all GPUs compute in it (from 8.0 on), else float16 if all have units for it
        (from 7.0 on), with float32 weights; float32 otherwise.
    """
    if asked != "auto":
        return asked
    lowest = min(capabilities, default=(0, 0))
    return "mixed_bfloat16" if lowest >= (8, 0) else "mixed_float16" if lowest >= (7, 0) else "float32"


def capabilities() -> list[tuple[int, int]]:
    """The compute capability of each GPU; (0, 0) where it is not known, as for other makers' GPUs."""
    details = (tf.config.experimental.get_device_details(gpu) for gpu in gpus())
    return [each.get("compute_capability", (0, 0)) for each in details]
