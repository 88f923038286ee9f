"""Plots of a dataset: sample frames of each action, and the durations of clips."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actreel.dataset.fonts import drawable

# An action may be called "$5 bill", which is not a formula.
rcParams["text.parse_math"] = False

_BORDER = 2
"""White pixels around a frame of a contact sheet."""


def contact_sheet(clips: Mapping[str, NDArray[np.uint8]], columns: int = 8) -> Figure:
    """One clip per action, as a row of evenly spaced frames.

    Args:
        clips: uint8 (T, H, W, 3), RGB, by action; H and W are the same in all.
        columns: Frames per clip.
    """
    rows = []
    for frames in clips.values():
        chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        rows.append(np.concatenate([_framed(frames[position]) for position in chosen], axis=1))
    height = len(rows[0])
    figure = Figure(figsize=(1.1 * columns + 1.6, 0.9 * len(rows) + 0.2), layout="constrained")
    # One picture: with axes for each frame, Matplotlib takes 13 s for 50 actions.
    axes = figure.subplots()
    axes.imshow(np.concatenate(rows))
    axes.set_yticks(np.arange(len(rows)) * height + height / 2 - 0.5, [drawable(action) for action in clips])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _framed(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame with a white border."""
    return np.pad(frame, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), constant_values=255)


def sentence(text: str) -> Figure:
    """A line of text in place of a plot."""
    figure = Figure(figsize=(7, 1))
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def durations(index: pd.DataFrame) -> Figure:
    """The durations of the clips of each action, one dot per clip.

    Args:
        index: Rows with `action` and `duration_s`.
    """
    actions = sorted(index["action"].unique())
    figure = Figure(figsize=(7, 1 + 0.28 * len(actions)), layout="constrained")
    axes = figure.subplots()
    for row, action in enumerate(actions):
        seconds = index.loc[index["action"] == action, "duration_s"]
        axes.scatter(seconds, np.full(len(seconds), row), s=12, alpha=0.4, color="tab:blue", linewidths=0)
    axes.set_yticks(range(len(actions)), [drawable(action) for action in actions])
    axes.invert_yaxis()
    axes.set(xlabel="seconds", xlim=(0, None))
    axes.grid(axis="x", color="0.9")
    return figure
