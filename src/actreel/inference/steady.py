"""Which label is shown: it changes where the windows say so clearly, not with every window that is in doubt."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MARGIN = 0.1
"""How much more probable another action must be than the one shown to take its place."""

BAND = 0.05
"""How far beyond its limit, as a share, the distance must be to change between known and unknown."""


@dataclass(frozen=True)
class Shown:
    """What is shown.

    Attributes:
        action: Index among the model's labels.
        confidence: The action's mean probability over the last half window; 0 if `known` is false.
        known: Whether the stream shows any of the model's actions.
    """

    action: int
    confidence: float
    known: bool


class SteadyLabel:
    """The label with hysteresis, from the mean of the windows that ended within the last half window.

    Args:
        hop_s: Seconds in half a window.
        max_distance: The largest distance that counts as known; None counts everything as known.
    """

    def __init__(self, hop_s: float, max_distance: float | None) -> None:
        self._hop_s = hop_s
        self._max_distance = max_distance
        self._run: int | None = None
        self._recent: deque[tuple[float, NDArray[np.float32], float]] = deque()
        self._shown: Shown | None = None

    def update(self, probabilities: NDArray[np.float32], distance: float, end_s: float, run: int) -> Shown:
        """Takes the next window, and says what is shown from now on.

        Args:
            probabilities: What the model says of it, float32 (K,).
            distance: From the training clips.
            end_s: When it ends, in seconds.
            run: Counts the stretches without a break; in each one, it starts again.
        """
        if run != self._run:
            self._run, self._shown = run, None
            self._recent.clear()
        self._recent.append((end_s, probabilities, distance))
        while self._recent[0][0] < end_s - 1.001 * self._hop_s:
            self._recent.popleft()
        mean = np.mean([each[1] for each in self._recent], axis=0)
        known = self._is_known(float(np.mean([each[2] for each in self._recent])))
        action = int(mean.argmax())
        if self._shown is not None and mean[action] < mean[self._shown.action] + MARGIN:
            action = self._shown.action
        self._shown = Shown(action, float(mean[action]) if known else 0.0, known)
        return self._shown

    def _is_known(self, distance: float) -> bool:
        if self._max_distance is None:
            return True
        side = 0.0 if self._shown is None else BAND if self._shown.known else -BAND
        return distance <= self._max_distance * (1 + side)
