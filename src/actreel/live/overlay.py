"""Draws an answer into a video: the label of the moment with its confidence, and a timeline of all segments."""

from __future__ import annotations

import colorsys
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from actreel.inference.segments import Segment
from actreel.live.lettering import lettered

UNKNOWN = "unknown"
GREY = (128, 128, 128)
SHADE = 5
"""The picture under the text is darkened to 1 of so many parts, in halves."""

GOLDEN = 0.618034
"""A turn of the hue by it makes neighbours differ, however many there are."""


class Overlay:
    """What is drawn into each frame of a video.

    Args:
        width: Columns of a frame.
        height: Rows of a frame.
        duration_s: Seconds that the video lasts.
        segments: The actions over time, without gaps.
        labels: The model's actions.
    """

    def __init__(
        self, width: int, height: int, duration_s: float, segments: Sequence[Segment], labels: Sequence[str]
    ) -> None:
        self._width = width
        self._duration_s = duration_s
        self._segments = segments
        self._labels = labels
        self._starts = [segment.start_s for segment in segments]
        self._text_rows = min(height, max(12, height // 11))
        self._bar_rows = min(height - self._text_rows, max(3, height // 60))
        self._inked: tuple[int, NDArray[np.uint16]] | None = None
        self._bar = self._timeline()

    def draw(self, frame: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """Draws into the lowest rows of a frame.

        Args:
            frame: uint8 (H, W, 3), RGB; it is changed.
            seconds: The frame's time.
        """
        top = len(frame) - self._text_rows - self._bar_rows
        under = frame[top : top + self._text_rows].astype(np.uint16) * 2 // SHADE
        ink = self._ink(max(0, bisect_right(self._starts, seconds) - 1))
        frame[top : top + self._text_rows] = under + (255 - under) * ink // 255
        played = round(min(1.0, seconds / self._duration_s) * self._width)
        bar = frame[top + self._text_rows :]
        bar[:, :played] = self._bar[:played]
        bar[:, played:] = self._bar[played:] // 3
        bar[:, max(0, played - 1) : played + 1] = 255
        return frame

    def _ink(self, number: int) -> NDArray[np.uint16]:
        """uint16 (rows, W, 1): how much white the text of a segment adds, up to 255."""
        if self._inked is None or self._inked[0] != number:
            text = _fitted(self._text_of(self._segments[number]), self._text_rows, self._width)
            ink = np.zeros((self._text_rows, self._width, 1), dtype=np.uint16)
            ink[(self._text_rows - len(text)) // 2 :][: len(text), : text.shape[1], 0] = text
            self._inked = number, ink
        return self._inked[1]

    def _text_of(self, segment: Segment) -> str:
        return f"{self._labels[segment.action]}  {segment.confidence:.0%}" if segment.known else UNKNOWN

    def _timeline(self) -> NDArray[np.uint8]:
        """uint8 (W, 3): the colour of each column's segment."""
        columns = np.zeros((self._width, 3), dtype=np.uint8)
        for segment in self._segments:
            start, end = (round(at / self._duration_s * self._width) for at in (segment.start_s, segment.end_s))
            columns[start:end] = colour_of(segment.action) if segment.known else GREY
        return columns


@cache
def colour_of(action: int) -> tuple[int, int, int]:
    """A colour for an action, RGB."""
    red, green, blue = colorsys.hsv_to_rgb(action * GOLDEN % 1, 0.75, 1)
    return round(255 * red), round(255 * green), round(255 * blue)


def _fitted(text: str, height: int, width: int) -> NDArray[np.uint8]:
    """The text no larger than this; it becomes smaller, and is cut off where it would be illegible."""
    pixels = lettered(text, height)
    if pixels.shape[1] > width:
        pixels = lettered(text, max(min(height, 9), height * width // pixels.shape[1]))
    return pixels[:, :width]
