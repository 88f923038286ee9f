"""Fingerprints: hashes that stay nearly the same where footage is cut, shrunk or encoded anew, as sha256 does not.

A clip's fingerprint is the difference hash (N. Krawetz, "Kind of like that", 2013) of three of its frames: 64 bits
each that say whether the picture gets brighter from one cell of a coarse grid to the next.
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


def probe_with_fingerprint(path: Path) -> tuple[VideoInfo, str]:
    """Decodes a video once, and tells what it holds and its fingerprint, 48 hexadecimal digits.

    Raises:
        VideoError: The file is missing, is no video, or no frame of it decodes.
    """
    hashes, info = sample_frames(path, partial(middle_frames, num_parts=FRAMES), frame_hash)
    return info, hashes.tobytes().hex()


def frame_hash(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The difference hash of a frame.

    Args:
        frame: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (8,), 64 bits.
    """
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    return np.packbits(grey[:, 1:] > grey[:, :-1], axis=1)[:, 0]
