"""A window that rolls over a stream, such as a camera's: always the last seconds, as long as a training clip."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.inference.recognition import Encode, ScoreWindow

STREAM_WINDOW_S = 2.0
"""Seconds of a window where the model's manifest does not say how long its training clips were."""


class TimedWindow:
    """The last T parts of a stream, one frame each, as `plan_windows` cuts a long video.

    Time decides which part a frame belongs to, not the count of frames: where frames are missing, the one before stands
    for them, so that an action keeps its speed. Each frame is encoded once, and memory is that of one window.

    Args:
        clip_frames: Parts in a window, T.
        window_s: Seconds of a window.
        encode: As `Encode`.
        score: As `ScoreWindow`.
    """

    def __init__(self, clip_frames: int, window_s: float, encode: Encode, score: ScoreWindow) -> None:
        self._part_s = window_s / clip_frames
        self._encode = encode
        self._score = score
        self._encoded: deque[NDArray[Any]] = deque(maxlen=clip_frames)
        self._start_s = 0.0
        self._last_part = -1

    @property
    def filled(self) -> float:
        """The share of the window that has been seen, in (0, 1] once there is a frame."""
        return len(self._encoded) / (self._encoded.maxlen or 1)

    def push(self, frame: NDArray[np.uint8], at_s: float) -> tuple[NDArray[np.float32], float] | None:
        """Takes the next frame, unless its part of the stream has one already.

        After a gap as long as a window it starts anew.

        Args:
            frame: uint8 (H, W, 3), RGB, as `fit_frame` gives it.
            at_s: When it was recorded, in seconds on any clock that only goes forward.

        Returns:
            The probabilities, float32 (K,), and the distance of the window that ends with this frame; None while the
            window is not full, and for a frame that was not taken.
        """
        # The nearest part, not the last one begun: frames that come a little early or late keep a part each.
        part = round((at_s - self._start_s) / self._part_s)
        missed = part - self._last_part - 1
        if not self._encoded or missed >= (self._encoded.maxlen or 1):
            self._encoded.clear()
            self._start_s, part, missed = at_s, 0, 0
        elif missed < 0:
            return None
        self._encoded.extend([self._encoded[-1]] * missed if missed else [])
        self._encoded.append(self._encode(frame[np.newaxis])[0])
        self._last_part = part
        return self._score(np.stack(self._encoded)) if self.filled == 1 else None
