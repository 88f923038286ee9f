"""TensorFlow and Keras without their start-up noise: every module that needs either takes it from here.

Importing costs about 5 s, so only training and the Keras side of evaluation do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _stderr_closed() -> Iterator[None]:
    # TensorFlow writes to file descriptor 2 before its log level is read; oneDNN must stay on, it is 3.6x in training.
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
with _stderr_closed():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
