"""The window of a visitor's camera: always the last seconds, as long as a training clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actreel.inference.recognition import Encode, EncodedWindows, ScoreWindow

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

    Attributes:
        num_starts: How often it started again.
    """

    def __init__(self, clip_frames: int, window_s: float, encode: Encode, score: ScoreWindow) -> None:
        self.num_starts = 0
        self._clip_frames = clip_frames
        self._part_s = window_s / clip_frames
        self._windows = EncodedWindows(clip_frames, 1, encode, score)
        self._start_s = 0.0
        self._num_parts = 0

    @property
    def filled(self) -> float:
        """The share of the window that has been seen, in (0, 1] once there is a frame."""
        return min(1.0, self._num_parts / self._clip_frames)

    def push(self, frame: NDArray[np.uint8], at_s: float) -> tuple[NDArray[np.float32], float] | None:
        """Takes the next frame, unless its part of the stream has one already.

        After a gap as long as a window it starts again.

        Args:
            frame: uint8 (H, W, 3), RGB, as `fit_frame` gives it.
            at_s: When it was recorded, in seconds on any clock that only goes forward.

        Returns:
            The probabilities, float32 (K,), and the distance of the window that ends with this frame; None while the
            window is not full, and for a frame that was not taken.
        """
        # The nearest part, not the last one begun: frames that come a little early or late keep a part each.
        part = round((at_s - self._start_s) / self._part_s)
        missed = part - self._num_parts
        if self._num_parts == 0 or missed >= self._clip_frames:
            self._windows.clear()
            self._start_s, part, missed = at_s, 0, 0
            self.num_starts += 1
        elif missed < 0:
            return None
        self._num_parts = part + 1
        for _ in self._windows.hold(missed):
            pass  # no answer is about frames that did not come
        return next(self._windows.push(frame[np.newaxis]), None)
