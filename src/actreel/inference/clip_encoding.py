"""Video encoders: several frames become one vector, and a clip's frames a sequence of such vectors.

A window of K frames moves over the T frames of a clip in equal hops. These are chosen so that the overlapping clips of
a long video, which are half a clip apart, share their windows: each is encoded once, as single frames are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actreel.errors import ModelError

RunWindows = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""A video encoder: uint8 (n, K, H, W, 3) to float32 (n, F)."""

EncodeFrames = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a clip's frames, uint8 (T, H, W, 3), to its vectors, float32 (M, F)."""


@dataclass(frozen=True)
class FrameWindows:
    """The windows of a video encoder over a clip.

    Attributes:
        frames: Frames of the clip in a window, K.
        stride: From one of these frames to the next, in frames of the clip.
        clip_frames: Frames of the clip, T.
    """

    frames: int
    stride: int
    clip_frames: int

    def __post_init__(self) -> None:
        if self.clip_frames < self.span:
            raise ModelError(
                f"A clip must have as many frames as its encoder sees at once: {self.span}, for {self.frames} frames "
                f"at a stride of {self.stride}. Received: clip.num_frames {self.clip_frames}. "
                f"Try: dvc exp run -S clip.num_frames={2 * self.span}"
            )

    @property
    def span(self) -> int:
        """Frames from the first to the last of a window, both included."""
        return (self.frames - 1) * self.stride + 1

    @property
    def hop(self) -> int:
        """Frames from one window to the next: at most half a window, and a divisor of half a clip."""
        half = max(1, self.clip_frames // 2)
        return next(hop for hop in range(max(1, min(self.span // 2, half)), 0, -1) if half % hop == 0)

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 (M,), the first frame of each window; what does not fill one is left out equally at both ends."""
        count = (self.clip_frames - self.span) // self.hop + 1
        unused = self.clip_frames - self.span - (count - 1) * self.hop
        return unused // 2 + self.hop * np.arange(count, dtype=np.int64)

    @property
    def ends(self) -> NDArray[np.int64]:
        """int64 (M,), the last frame of each window."""
        return self.starts + self.span - 1

    @property
    def indices(self) -> NDArray[np.int64]:
        """int64 (M, K), the frames of each window."""
        return self.starts[:, np.newaxis] + self.stride * np.arange(self.frames, dtype=np.int64)

    def means(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """What each window has of numbers of frames, float32 (T, M) to float32 (W, M): their mean."""
        return np.asarray(frames[self.indices].mean(axis=1))

    def encode(self, clip: NDArray[np.uint8], run: RunWindows) -> NDArray[np.float32]:
        """A clip's vectors: uint8 (T, H, W, 3) to float32 (M, F)."""
        # One by one, as the memory of a video encoder grows with the windows that it is given at once.
        return np.concatenate([run(clip[np.newaxis, window]) for window in self.indices])


class SharedWindows:
    """Encodes the overlapping clips of one video, and windows that the clip before had too only once.

    Args:
        windows: Those of a clip.
        run: The encoder.
    """

    def __init__(self, windows: FrameWindows, run: RunWindows) -> None:
        self._windows = windows
        self._run = run
        self._before: dict[bytes, NDArray[np.float32]] = {}

    def encode(self, clip: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The next clip's vectors: uint8 (T, H, W, 3) to float32 (M, F)."""
        known: dict[bytes, NDArray[np.float32]] = {}

        def run(window: NDArray[np.uint8]) -> NDArray[np.float32]:
            # By content, so that it does not matter how the clip was cut. A digest takes 1 % of the encoder's time.
            key = hashlib.sha256(window.tobytes()).digest()
            if key not in known:
                before = self._before.get(key)
                known[key] = self._run(window) if before is None else before
            return known[key]

        vectors = self._windows.encode(clip, run)
        self._before = known
        return vectors
