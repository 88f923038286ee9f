"""The windows that end at a stream's newest frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actreel.inference.recognition import Encode, EncodedWindows, ScoreWindow
from actreel.live.grid import Grid
from actreel.live.sampling import Sample


@dataclass(frozen=True)
class Window:
    """What the model says of one window.

    Attributes:
        start_s: Seconds from its run's start.
        end_s: Seconds from its run's start.
        probabilities: float32 (K,).
        distance: From the training clips.
        newest: Its last sample.
    """

    start_s: float
    end_s: float
    probabilities: NDArray[np.float32]
    distance: float
    newest: Sample


class RollingWindow:
    """Scores the windows of a stream; each frame is encoded once, however many windows it is in.

    Args:
        grid: Where the samples are.
        encode: The part of the model that sees one frame.
        score: The part that sees a window.
    """

    def __init__(self, grid: Grid, encode: Encode, score: ScoreWindow) -> None:
        self._grid = grid
        self._windows = EncodedWindows(grid.clip_frames, grid.hop, encode, score, grid.phases)
        self._run: int | None = None
        self._last = -1

    def push(self, sample: Sample) -> Iterator[Window]:
        """Takes the next sample, and those before it that are missing, as which it counts too, up to a window.

        Yields:
            Each window that it completes.
        """
        before = sample.index - sample.count
        if sample.run != self._run:
            self._windows.clear()
            self._run, self._last = sample.run, -1
        if before - self._last > self._grid.clip_frames * self._grid.phases:  # a window of one frame alone
            self._windows.clear()
            self._last = before
        for index in range(self._last + 1, sample.index + 1):
            again = index > self._last + 1
            found = self._windows.hold(1) if again else self._windows.push(sample.frame[np.newaxis])
            for probabilities, distance in found:
                end_s = self._grid.end_s(index)
                start_s = end_s - self._grid.clip_frames * self._grid.part_s
                yield Window(start_s, end_s, probabilities, distance, sample)
        self._last = sample.index
