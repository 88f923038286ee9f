"""TensorFlow and Keras without their start-up messages: every module that needs either imports it from here.

Importing costs about 5 s, so only training and the Keras side of evaluation do.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stderr_closed() -> Iterator[None]:
    """Drops what TensorFlow's libraries print on their own."""
    # TensorFlow writes to file descriptor 2 before it reads its log level. Turning oneDNN off would silence it too, but
    # training would be 3.6x slower.
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leaves what is made meanwhile out of garbage collections, then and later.

    It is a million objects that stay to the end. Looking through them for garbage, again and again, took a fifth of the
    import, and a quarter of a short training.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
# Otherwise tf2onnx copies the whole graph before each of its optimizations, to go on with the copy if one fails.
os.environ.setdefault("TF2ONNX_CATCH_ERRORS", "FALSE")
with stderr_closed(), _uncollected():
    import keras
    import tensorflow as tf

    # TensorFlow would take all of a GPU's memory, and ONNX Runtime encodes beside it.
    for _gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(_gpu, True)


def tflite_modules() -> tuple[Any, Any]:
    """The classes of TFLite's file format, and the functions that read and write its files; few need them."""
    from tensorflow.lite.python import schema_py_generated
    from tensorflow.lite.tools import flatbuffer_utils

    return schema_py_generated, flatbuffer_utils


__all__ = ["keras", "stderr_closed", "tf", "tflite_modules"]
