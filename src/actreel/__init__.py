"""Actreel: human action recognition, reproducible from raw video to a served model.

    import actreel

    print(actreel.load().predict("clip.mp4").label)

This module alone imports next to nothing; `load` imports what a prediction needs, and never TensorFlow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actreel.errors import ActreelError

if TYPE_CHECKING:
    from actreel.inference.recogniser import Recogniser

    __version__: str

__all__ = ["ActreelError", "__version__", "load"]


def __getattr__(name: str) -> str:
    """Looks `__version__` up once it is asked for: to import what reads it takes longer than all else here."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("actreel")
    except PackageNotFoundError:  # in a Bento, which carries the source without installing it
        return "unknown"


def load(folder: str | os.PathLike[str] | None = None) -> Recogniser:
    """Opens a trained model.

    Args:
        folder: A model folder, such as `artifacts/model`. By default the model that `actreel predict` takes in the
            current folder: the packaged one, or the one trained last where nothing is packaged.

    Raises:
        ActreelError: No folder is given, and the current folder is no project's; or a file of the model is missing or
            damaged.
    """
    from actreel.inference.recogniser import Recogniser

    return Recogniser.load(folder)
