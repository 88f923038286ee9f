"""Marks: what people say a video shows between two moments."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

SHARED_S = 0.1
"""Seconds that neighbours may share: programs to label with let the last frame of one be the first of the next."""

BEYOND_S = 1.0
"""Seconds that a mark may reach beyond the pictures: sound often lasts longer."""


@dataclass(frozen=True)
class Mark:
    """What a person says is seen between two moments.

    Attributes:
        start_s: Seconds from the video's start.
        end_s: Seconds from the video's start.
        label: The action; `_unknown` if it is none of those to learn.
    """

    start_s: float
    end_s: float
    label: str

    def __str__(self) -> str:
        return f"'{self.label}' from {self.start_s:g} to {self.end_s:g} s"


def fault_in(marks: Iterable[Mark], duration_s: float | None = None) -> str | None:
    """What is wrong with the marks of a video, in two sentences; None if nothing is.

    Args:
        marks: In any order.
        duration_s: Seconds that the video's pictures last; None if they are not known.
    """
    marks = list(marks)
    for mark in marks:
        if not (math.isfinite(mark.start_s) and math.isfinite(mark.end_s) and mark.start_s >= 0):
            return f"A segment's times must be seconds from 0 on. Received: {mark}"
        if mark.end_s <= mark.start_s:
            return f"A segment must end after it starts. Received: {mark}"
        if duration_s is not None and (mark.start_s >= duration_s or mark.end_s > duration_s + BEYOND_S):
            return f"A segment must lie within the video, which lasts {duration_s:g} s. Received: {mark}"
    for before, after in pairwise(sorted(marks, key=lambda mark: (mark.start_s, mark.end_s))):
        if after.start_s < before.end_s - SHARED_S:
            return f"Segments of one video must not overlap. Received: {before}, and {after}"
    return None
