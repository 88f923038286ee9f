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


def contact_sheet(clips: Mapping[str, NDArray[np.uint8]], columns: int = 8) -> Figure:
    """One clip per action, as a row of evenly spaced frames.

    Args:
        clips: uint8 (T, H, W, 3), RGB, by action.
        columns: Frames per clip.
    """
    figure = Figure(figsize=(1.1 * columns + 1.6, 1.1 * len(clips)), layout="constrained")
    grid = figure.subplots(len(clips), columns, squeeze=False)
    for row, (action, frames) in zip(grid, clips.items(), strict=True):
        chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        for axes, position in zip(row, chosen, strict=True):
            axes.imshow(frames[position])
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(drawable(action), rotation=0, ha="right", va="center")
    return figure


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
