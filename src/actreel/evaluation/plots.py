"""Plots of an evaluation: learning curves, confusion matrix, reliability, saliency, confused clips."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from actreel.dataset.fonts import drawable
from actreel.dataset.plots import contact_sheet, sentence
from actreel.video.clips import middle_frames


def confused(clips: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """A `contact_sheet` of misclassified clips, or a sentence if there are none."""
    return contact_sheet(clips) if clips else sentence("No test clip was misclassified.")


def learning_curves(curve: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss and accuracy by epoch.

    Args:
        curve: `epoch`, `loss`, `val_loss`, `accuracy`, `val_accuracy`, `test_accuracy`.
        best_epoch: The epoch whose weights the model has.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    names = {"train": "", "val": "val_", "test": "test_"}
    for axes, metric in ((loss, "loss"), (accuracy, "accuracy")):
        for split, prefix in names.items():
            if f"{prefix}{metric}" in curve:
                axes.plot(curve["epoch"], curve[f"{prefix}{metric}"], label=split)
        axes.axvline(best_epoch, color="0.6", linestyle=":", label="kept weights")
        axes.set(xlabel="epoch", ylabel=metric)
        axes.legend(frameon=False)
    accuracy.set_ylim(0, 1.02)
    return figure


def confusion(targets: NDArray[np.int64], predicted: NDArray[np.int64], labels: list[str]) -> Figure:
    """Confusion matrix: rows are the true actions, cells are shares of a row.

    Args:
        targets: int64 (N,), the true actions.
        predicted: int64 (N,), the predicted actions.
        labels: Names of the actions.
    """
    counts = confusion_matrix(targets, predicted, labels=range(len(labels)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.45 * len(labels)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="share of the true action's clips", shrink=0.8)
    for row, column in zip(*np.nonzero(counts), strict=True):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade)
    names = [drawable(label) for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def reliability(before: pd.DataFrame, after: pd.DataFrame) -> Figure:
    """Reliability diagram: accuracy by confidence, before and after temperature scaling.

    Args:
        before: One row for each bin: `confidence`, `accuracy`, `clips`.
        after: The same after calibration.
    """
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for table, name in ((before, "before"), (after, "after calibration")):
        axes.plot(table["confidence"], table["accuracy"], marker="o", label=name)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(frameon=False)
    return figure


def saliency(
    clips: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]], columns: int = 10
) -> Figure:
    """Which frames and regions drive predictions: as heat maps over frames, and as bars over time.

    Args:
        clips: By heading, frames uint8 (T, H, W, 3), weights over time (T,) and heat maps (T, H, W) in [0, 1].
        columns: The most frames shown of a clip.
    """
    columns = min(columns, *(len(frames) for frames, _, _ in clips.values()))
    figure = Figure(figsize=(1.1 * columns + 2.4, 1.7 * len(clips)), layout="constrained")
    grid = figure.add_gridspec(2 * len(clips), columns, height_ratios=[3, 1] * len(clips))
    for row, (heading, (frames, over_time, maps)) in enumerate(clips.items()):
        shown = middle_frames(len(frames), columns)
        for column, frame in enumerate(shown):
            axes = figure.add_subplot(grid[2 * row, column])
            axes.imshow(frames[frame])
            axes.imshow(maps[frame], cmap="inferno", alpha=0.8 * maps[frame], vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            if column == 0:
                axes.set_ylabel(drawable(heading), rotation=0, ha="right", va="center")
        # Each bar is below its frame.
        axes = figure.add_subplot(grid[2 * row + 1, :])
        axes.bar(
            range(len(over_time)), over_time, color=["tab:red" if t in shown else "0.7" for t in range(len(frames))]
        )
        axes.set(xlim=(-0.5, len(over_time) - 0.5), xticks=[], ylim=(0, over_time.max() or 1))
        axes.set_ylabel("weight", rotation=0, ha="right", va="center")
    return figure
