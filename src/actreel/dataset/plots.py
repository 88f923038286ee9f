"""Pictures of a dataset: frames of its clips, and how long they last."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.figure import Figure
from numpy.typing import NDArray

# An action may be called "$5 bill", which is no formula.
rcParams["text.parse_math"] = False


def contact_sheet(clips: Mapping[str, NDArray[np.uint8]], columns: int = 8) -> Figure:
    """One clip an action, as a row of frames spread over its time.

    Args:
        clips: uint8 (T, H, W, 3), RGB, by action.
        columns: Frames shown of each.
    """
    figure = Figure(figsize=(1.1 * columns + 1.6, 1.1 * len(clips)), layout="constrained")
    grid = figure.subplots(len(clips), columns, squeeze=False)
    for row, (action, frames) in zip(grid, clips.items(), strict=True):
        chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        for axes, place in zip(row, chosen, strict=True):
            axes.imshow(frames[place])
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(action, rotation=0, ha="right", va="center")
    return figure


def durations(index: pd.DataFrame) -> Figure:
    """How long the clips of each action are, one dot a clip.

    Args:
        index: Rows with `action` and `duration_s`.
    """
    actions = sorted(index["action"].unique())
    figure = Figure(figsize=(7, 1 + 0.28 * len(actions)), layout="constrained")
    axes = figure.subplots()
    for place, action in enumerate(actions):
        seconds = index.loc[index["action"] == action, "duration_s"]
        axes.scatter(seconds, np.full(len(seconds), place), s=12, alpha=0.4, color="tab:blue", linewidths=0)
    axes.set_yticks(range(len(actions)), actions)
    axes.invert_yaxis()
    axes.set(xlabel="seconds", xlim=(0, None))
    axes.grid(axis="x", color="0.9")
    return figure
