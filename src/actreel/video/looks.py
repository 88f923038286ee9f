"""How bright frames are: of the frames that a model sees, so that training clips and the service's videos compare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Brightness:
    """Takes frames as they come."""

    def __init__(self) -> None:
        self._sum = 0
        self._values = 0

    def add(self, frames: NDArray[np.uint8]) -> None:
        """Takes the next frames, uint8 of any shape."""
        self._sum += int(frames.sum(dtype=np.uint64))
        self._values += frames.size

    @property
    def mean(self) -> float:
        """The mean over all frames, pixels and colours so far, in [0, 1]; 0 without frames."""
        return self._sum / (255 * self._values) if self._values else 0.0
