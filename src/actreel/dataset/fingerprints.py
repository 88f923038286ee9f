"""Fingerprints: hashes that stay nearly the same when footage is cut, resized or re-encoded; sha256 does not.

The fingerprint of a clip is the difference hash (N. Krawetz, "Kind of like that", 2013) of three of its frames. Each
of the hash's 64 bits says whether one cell of a coarse grid is brighter than the cell to its left.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.video.clips import middle_frames
from actreel.video.decode import sample_frames
from actreel.video.info import VideoInfo
from actreel.video.opencv import cv2

FRAMES = 3
SMALL_FRAMES = 9
"""The middle frames of so many equal parts; every third of them is one of the fingerprint's."""
SIDE = 16
"""Pixels of a small frame's sides."""
_HASH = 8


def probe_with_fingerprint(path: Path) -> tuple[VideoInfo, str, bytes]:
    """Decodes a video once, and returns its properties, its fingerprint, 48 hexadecimal digits, and small frames.

    The small frames are grey: uint8 (SMALL_FRAMES, SIDE, SIDE).

    Raises:
        VideoError: The file is missing or is not a video, or none of its frames decodes.
    """
    seen, info = sample_frames(path, partial(middle_frames, num_parts=SMALL_FRAMES), _hash_and_small_frame)
    return info, seen[1::3, :_HASH].tobytes().hex(), seen[:, _HASH:].tobytes()


def _hash_and_small_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.concatenate([frame_hash(frame), grey.ravel()])


def frame_hash(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The difference hash of a frame, blind to overall brightness.

    Args:
        frame: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (8,), 64 bits.
    """
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    return np.packbits(grey[:, 1:] > grey[:, :-1], axis=1)[:, 0]
