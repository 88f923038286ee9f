"""Segments: which action is seen when, from the scores of overlapping windows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actreel.inference.windows import WindowPlan


@dataclass(frozen=True)
class Segment:
    """What is seen between two moments.

    Attributes:
        start_s: Seconds from the video's start.
        end_s: Seconds from the video's start.
        action: Index among the model's labels.
        confidence: The action's mean probability over the segment; 0 if `known` is false.
        known: Whether the segment shows any of the model's actions.
    """

    start_s: float
    end_s: float
    action: int
    confidence: float
    known: bool = True


def segments_of(
    probabilities: NDArray[np.float32],
    distances: NDArray[np.float32],
    plan: WindowPlan,
    duration_s: float,
    max_distance: float | None = None,
) -> list[Segment]:
    """The actions over time.

    Windows are smoothed with their neighbours (1:2:1), so a single odd window does not make a segment; each part
    then takes the mean of the windows that cover it.

    Args:
        probabilities: float32 (W, K), of the windows so far, W >= 1.
        distances: float32 (W,), of the same windows.
        plan: The video's windows, at least W.
        duration_s: Duration of the whole video in seconds.
        max_distance: The largest distance that counts as known; None counts everything as known.

    Returns:
        Segments in order, without gaps, up to the end of the last of these windows.
    """
    windows = np.column_stack([probabilities, distances])
    padded = np.concatenate([windows[:1], windows, windows[-1:]])
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    reached = plan.clip_frames + (len(smooth) - 1) * plan.hop
    scores = np.zeros((reached, smooth.shape[1]))
    cover = np.zeros((reached, 1))
    for window, score in enumerate(smooth):
        parts = slice(window * plan.hop, window * plan.hop + plan.clip_frames)
        scores[parts] += score
        cover[parts] += 1
    scores /= cover
    actions = scores[:, :-1]
    known = np.full(reached, True) if max_distance is None else scores[:, -1] <= max_distance
    shown = np.where(known, actions.argmax(axis=1), -1)
    borders = [0, *(np.flatnonzero(np.diff(shown)) + 1).tolist(), reached]
    part_s = duration_s / plan.num_parts
    segments = []
    for start, end in pairwise(borders):
        means = actions[start:end].mean(axis=0)
        action = int(shown[start]) if known[start] else int(means.argmax())
        confidence = float(means[action]) if known[start] else 0.0
        segments.append(Segment(start * part_s, end * part_s, action, confidence, bool(known[start])))
    return segments
