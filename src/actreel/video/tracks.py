"""The track of a clip: what it has beside its pictures, as one vector for each of its frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.config import TrackSpec
from actreel.video.decode import decode_passes
from actreel.video.signals import signal_parts
from actreel.video.sound import sound_parts


def track_parts(path: Path, spec: TrackSpec, duration_s: float, num_parts: int) -> Iterator[NDArray[np.float32]]:
    """What a video has beside its pictures in each of `num_parts` equal parts of its time, in constant memory.

    Args:
        path: The video.
        spec: What is taken, and how it becomes numbers.
        duration_s: Seconds of the pictures.
        num_parts: Parts.

    Yields:
        float32 (M,), M being `spec.size`.

    Raises:
        VideoError: The file is missing, damaged or not a video, or its signals are missing or cannot be used.
    """
    parts = [
        *([sound_parts(path, spec.sound, duration_s, num_parts)] if spec.sound else []),
        *([signal_parts(path, spec.signals, duration_s, num_parts)] if spec.signals else []),
    ]
    for together in zip(*parts, strict=True):
        yield np.concatenate(together)


def load_track(path: Path, spec: TrackSpec, num_frames: int) -> NDArray[np.float32]:
    """The track of a clip as the model hears it beside `load_clip`.

    Args:
        path: The video.
        spec: The same as in training.
        num_frames: Frames of the clip, T.

    Returns:
        float32 (T, M).

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
    """
    duration_s = 0.0
    for attempt in decode_passes(path):
        # As the pass begins: whoever takes frames and track together knows no more.
        duration_s = attempt.info.duration_s
        for _ in attempt.frames(np.empty(0, dtype=np.int64), lambda frame: frame):
            pass
    return np.stack(list(track_parts(path, spec, duration_s, num_frames)))
