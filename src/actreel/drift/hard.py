"""Videos worth a label: those that the model is least sure of, from feedback and batches, and of several actions."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from actreel.base.places import UNKNOWN
from actreel.feedback import DATABASE, FeedbackStore, exported_ids

_CORRECTED, _UNKNOWN = 1.0, 0.9
_FADES = 0.7
"""What another video of a label counts for, once one of it is chosen."""


@dataclass(frozen=True)
class Hard:
    """A video, and why a label for it would help.

    Attributes:
        path: The video: a path, a link or an address.
        reason: Why, in words.
        label: What the model says; `_unknown` if it knows no such action and the nearest is not recorded.
        hardness: In [0, 1]; the larger, the less sure is the model.
        said: What a visitor says that it shows; None if nobody did.
    """

    path: str
    reason: str
    label: str
    hardness: float
    said: str | None


def from_feedback(folder: Path, index: pd.DataFrame | None) -> Iterator[Hard]:
    """The videos that visitors shared, but for those that the dataset contains.

    Args:
        folder: The feedback folder, which need not exist.
        index: The dataset's; None if there is none.
    """
    if not (folder / DATABASE).is_file():
        return
    names = exported_ids([] if index is None else [str(clip).rpartition("/")[2] for clip in index["clip"]])
    for feedback, video in FeedbackStore(folder).all():
        if video is None or not video.is_file() or video.stem in names:
            continue
        if not feedback.correct:
            reason, hardness = f"a visitor says '{feedback.truth}', the model '{feedback.predicted}'", _CORRECTED
        elif feedback.predicted == UNKNOWN:
            reason, hardness = "the model knows no such action, and a visitor agrees", _UNKNOWN
        else:
            reason = f"the model is {feedback.confidence:.0%} sure of '{feedback.predicted}', and a visitor agrees"
            hardness = _UNKNOWN * (1 - feedback.confidence)
        yield Hard(str(video), reason, feedback.predicted, hardness, feedback.truth)


def from_answers(rows: Iterable[Mapping[str, Any]], index: pd.DataFrame | None) -> Iterator[Hard]:
    """The videos of a batch, but for those that the dataset contains.

    Args:
        rows: With `source`, `sha256`, `label`, `known` and `top`, as `actreel.batch.table` has them.
        index: As for `from_feedback`.
    """
    contents = set() if index is None else set(index["sha256"])
    for row in rows:
        if row["sha256"] in contents:
            continue
        best, second = row["top"][:2]
        margin = best["confidence"] - second["confidence"]
        if row["known"]:
            reason = f"'{best['label']}' {best['confidence']:.0%}, but '{second['label']}' {second['confidence']:.0%}"
            hardness = _UNKNOWN * (1 - margin)
        else:
            reason, hardness = f"the model knows no such action; the nearest is '{best['label']}'", _UNKNOWN
        yield Hard(row["source"], reason, row["label"], hardness, None)


def rank(videos: Iterable[Hard], wanted: int) -> list[Hard]:
    """The hardest videos, the hardest first; of each label only some, as long as there are others.

    Args:
        videos: In any number: only the hardest of each label are held.
        wanted: How many.
    """
    held: dict[str, list[tuple[float, int, Hard]]] = {}
    for number, video in enumerate(videos):
        of_label = held.setdefault(video.label, [])
        heapq.heappush(of_label, (video.hardness, -number, video))
        if len(of_label) > wanted:
            heapq.heappop(of_label)
    left = {label: [video for *_, video in sorted(of_label)] for label, of_label in held.items()}
    taken: Counter[str] = Counter()
    chosen: list[Hard] = []
    while left and len(chosen) < wanted:
        label = max(left, key=lambda label: (left[label][-1].hardness * _FADES ** taken[label], label))
        chosen.append(left[label].pop())
        taken[label] += 1
        if not left[label]:
            del left[label]
    return chosen
