"""Where a model fails: accuracy by kind of clip, and the actions that it confuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.evaluation.intervals import interval_over_groups


def accuracy_by_slice(clips: pd.DataFrame, right: NDArray[np.bool_]) -> pd.DataFrame:
    """Accuracy on slices of the test clips, the lowest first.

    Durations are split at their terciles over these clips.

    Args:
        clips: Index rows with `clip`, `duration_s`, `width`, `height` and `group`.
        right: bool (N,), which are classified correctly.

    Returns:
        One row for each slice with clips: `slice` (`duration`, `frame_size` or `group`), `value`, `clips`, `groups`,
        `accuracy`, and its 95 % interval `low` to `high`: over groups, or over new clips of the group.
    """
    sizes = (clips["width"].astype(str) + "x" + clips["height"].astype(str)).replace("0x0", "no picture")
    values = {"duration": _terciles(clips["duration_s"]), "frame_size": sizes, "group": clips["group"]}
    rows = []
    for name, value in values.items():
        for shown, members in clips.assign(right=right).groupby(value.to_numpy()):
            # The clips of one group are independent draws of what it does.
            independent = members["clip"] if name == "group" else members["group"]
            low, high = interval_over_groups(members["right"], independent)
            groups, accuracy = members["group"].nunique(), members["right"].mean()
            rows.append((name, shown, len(members), groups, accuracy, low, high))
    table = pd.DataFrame(rows, columns=["slice", "value", "clips", "groups", "accuracy", "low", "high"])
    # Among slices of equal accuracy, the largest is the best evidence.
    return table.sort_values(["accuracy", "clips"], ascending=[True, False], kind="stable", ignore_index=True)


def _terciles(seconds: pd.Series) -> pd.Series:
    low, high = seconds.quantile([1 / 3, 2 / 3])
    names = (f"short, up to {low:.1f} s", "medium", f"long, over {high:.1f} s")
    return pd.Series(np.select([seconds <= low, seconds <= high], names[:2], names[2]), index=seconds.index)


@dataclass(frozen=True)
class Confusion:
    """One action classified as another.

    Attributes:
        actual: The action.
        predicted: The other one.
        count: Test clips that are misclassified like this.
        clips: Test clips of the action.
        wrong: Row of the most confident of these mistakes.
        right: Row of the most confident correct prediction of the other action; None if there is none.
    """

    actual: str
    predicted: str
    count: int
    clips: int
    wrong: int
    right: int | None


def most_confused(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], labels: list[str], limit: int = 5
) -> Iterator[Confusion]:
    """The pairs of actual and predicted action with the most mistakes, the most frequent first.

    Args:
        probabilities: float32 (N, K).
        targets: int64 (N,), the correct columns.
        labels: Names of the columns.
        limit: At most this many pairs.
    """
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    mistakes = np.flatnonzero(answers != targets)
    pairs, counts = np.unique(np.stack([targets[mistakes], answers[mistakes]]), axis=1, return_counts=True)
    for pair in np.argsort(-counts, kind="stable")[:limit]:
        actual, predicted = pairs[:, pair]
        wrong = np.flatnonzero((targets == actual) & (answers == predicted))
        right = np.flatnonzero((targets == predicted) & (answers == predicted))
        yield Confusion(
            actual=labels[actual],
            predicted=labels[predicted],
            count=int(counts[pair]),
            clips=int((targets == actual).sum()),
            wrong=int(wrong[confidence[wrong].argmax()]),
            right=int(right[confidence[right].argmax()]) if len(right) else None,
        )


def sample_rows(confusions: Iterable[Confusion]) -> Iterator[tuple[str, int]]:
    """Headings and rows of clips that show the confusions: of each a misclassified one, then a correct one."""
    for found in confusions:
        yield f"{found.actual}\npredicted as {found.predicted}\n({found.count} of {found.clips} clips)", found.wrong
        if found.right is not None:
            yield f"{found.predicted}\ncorrect\n(to compare with {found.actual})", found.right
