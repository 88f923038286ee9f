"""From a stream's frames to the samples of its grid, each as late as it was to be seen and no later."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.live.grid import Grid
from actreel.video.clips import fit_frame
from actreel.video.streams import LiveVideo

SNAP = 0.1
"""How far, in frames, a time may be from a whole number of frames to count as rounded by its container."""

OnPicture = Callable[[NDArray[np.uint8]], None]
"""Called with each frame that becomes a sample, at full size: uint8 (h, w, 3), RGB."""

WAITED = 0.25
"""Frames for whose time the next one was waited for, if it is the newest that there is: less is chance."""


@dataclass(frozen=True)
class Sample:
    """A frame that windows use.

    Attributes:
        frame: uint8 (H, W, 3), RGB, as the model takes it.
        index: The last sample of the grid that it is, counted from 0 at the run's start.
        count: How many samples it is: more than one where frames are missing or too few.
        run: Counts the stretches without a break; a window lies in one of them.
        run_start: When the run's first frame was to be seen, by the clock.
        due: When this frame was to be seen, by the clock.
    """

    frame: NDArray[np.uint8]
    index: int
    count: int
    run: int
    run_start: float
    due: float


def ignore_picture(frame: NDArray[np.uint8]) -> None:
    """The default `OnPicture`."""


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Seconds from a fixed moment."""

    def wait(self, seconds: float) -> None:
        """Returns after so many seconds, or once nobody waits for the stream any more."""


class WallClock:
    """The machine's monotonic clock.

    Args:
        stopped: Ends a wait early.
    """

    def __init__(self, stopped: Event) -> None:
        self._stopped = stopped

    def now(self) -> float:
        """As `Clock`."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """As `Clock`."""
        self._stopped.wait(seconds)


class Rate:
    """Frames a second, over the last two seconds or so of a stream at 30 a second."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=60)

    def count(self, now: float) -> None:
        """Counts a frame."""
        self._times.append(now)

    @property
    def fps(self) -> float:
        """The rate; 0 before the second frame."""
        spent = self._times[-1] - self._times[0] if self._times else 0.0
        return (len(self._times) - 1) / spent if spent > 0 else 0.0


class Sampler:
    """Takes the samples of a grid from an open stream.

    Args:
        video: The stream.
        grid: Where its samples are.
        spec: How frames become the model's input.
        clock: The time.
        is_file: Whether it must be played: its frames are there at once, and come when it is their time.
        run: The number of the first run.
        on_picture: As `OnPicture`.
    """

    def __init__(
        self,
        video: LiveVideo,
        grid: Grid,
        spec: ClipSpec,
        clock: Clock,
        *,
        is_file: bool,
        run: int,
        on_picture: OnPicture = ignore_picture,
    ) -> None:
        self.run = run
        self._on_picture = on_picture
        self.rate = Rate()
        self._video = video
        self._grid = grid
        self._spec = spec
        self._clock = clock
        self._is_file = is_file
        self._longest_gap_s = max(grid.hop_s, 3 / grid.fps)
        self._late_s = 0.0
        # What is added to a frame's time for the clock's.
        self._shift_s: float | None = None
        self._run_start = self._first_s = self._last_s = 0.0
        self._position = 0.0
        self._num_served = 0
        self._skipped_before = 0

    def samples(self) -> Iterator[Sample]:
        """All samples up to the stream's end.

        Raises:
            VideoError: The stream broke.
        """
        for frame in self._video.newest_frames(self._is_behind):
            due = self._seen(frame)
            reached = self._grid.num_before(self._position + 1)
            count = reached - self._num_served
            if count > 0:
                self._num_served = reached
                picture = self._video.to_rgb(frame)
                self._on_picture(picture)
                fitted = fit_frame(picture, self._spec)
                yield Sample(fitted, reached - 1, count, self.run, self._run_start, due)

    def _is_behind(self) -> bool:
        """Whether decoding is so late that the rest is skipped up to a key frame."""
        return self._late_s > self._grid.hop_s / 2

    def _seen(self, frame: Any) -> float:
        """Places a decoded frame in time; returns when it was to be seen."""
        now = self._clock.now()
        seconds = self._seconds_of(frame, now)
        skipped = self._video.num_skipped - self._skipped_before
        self._skipped_before = self._video.num_skipped
        is_first = self._shift_s is None
        breaks = is_first or not 0 <= seconds - self._last_s <= self._longest_gap_s
        if self._shift_s is None or (breaks and not skipped):  # what was skipped has had its time
            self._shift_s = now - seconds
        due = self._shift_s + seconds
        if self._is_file:
            self._clock.wait(max(0.0, due - now))
        elif due > now or self._video.waited_s > WAITED / self._grid.fps:
            # It came as early as it could.
            self._shift_s += now - due
            due = now
        if breaks:
            self.run += not is_first
            self._run_start, self._first_s, self._position, self._num_served = due, seconds, 0.0, 0
        else:
            self._position = self._place_of(seconds, skipped)
        self._last_s = seconds
        now = self._clock.now()
        self._late_s = max(0.0, now - due)
        self.rate.count(now)
        return due

    def _seconds_of(self, frame: Any, now: float) -> float:
        if not self._is_file and not self._video.has_times:
            return now
        if frame.time is None:
            return self._last_s + 1 / self._grid.fps
        return float(frame.time)

    def _place_of(self, seconds: float, skipped: int) -> float:
        """The frame's place, in frames from the run's start."""
        if self._is_file:  # `predict` counts frames too
            apart = round((seconds - self._last_s) * self._grid.fps) if skipped else 1
            return self._position + max(1, apart)
        place = (seconds - self._first_s) * self._grid.fps
        return float(round(place)) if abs(place - round(place)) <= SNAP else place
