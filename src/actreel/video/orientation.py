"""How frames are to be shown: telephones turn them, and mirror those of the front camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actreel.errors import VideoError

TOLERANCE = 0.02
"""How far, as a share, a turn may be from a multiple of 90 degrees: about 1 degree, as in ffmpeg."""


@dataclass(frozen=True)
class Orientation:
    """What is done to a decoded frame before it is shown.

    Attributes:
        transposed: Rows become columns; this comes first.
        mirrored: Left and right are exchanged.
        upside_down: Top and bottom are exchanged.
    """

    transposed: bool = False
    mirrored: bool = False
    upside_down: bool = False

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turns and mirrors a frame: uint8 (H, W, 3) to (H, W, 3) or (W, H, 3)."""
        if self == Orientation():
            return pixels
        shown = pixels.swapaxes(0, 1) if self.transposed else pixels
        return np.ascontiguousarray(shown[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1])


def orientation_of(matrix: bytes | None, path: object) -> Orientation:
    """Reads a display matrix.

    Args:
        matrix: FFmpeg's: 3x3 native integers of 32 bits; None where the file has none.
        path: The video, for the message.

    Raises:
        VideoError: It turns by an angle that is no multiple of 90 degrees.
    """
    if matrix is None:
        return Orientation()
    # A point (x, y) is shown at (a*x + c*y, b*x + d*y).
    a, b, _, c, d, *_ = np.frombuffer(matrix, dtype=np.int32).tolist()
    transposed = abs(b) > abs(a)
    kept, rest = ((b, c), (a, d)) if transposed else ((a, d), (b, c))
    if max(map(abs, rest)) > TOLERANCE * min(map(abs, kept)):
        raise VideoError(
            f"A video must be turned by a multiple of 90 degrees. Received: {math.degrees(math.atan2(b, a)):.0f} "
            f"degrees, from '{path}'. Turn its pixels: ffmpeg -i IN OUT.mp4"
        )
    return Orientation(transposed, mirrored=(c if transposed else a) < 0, upside_down=(b if transposed else d) < 0)
