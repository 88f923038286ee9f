"""What rounding a model to int8 costs and gives: both forms of it on the same held-out clips."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.dataset.store import Store
from actreel.evaluation import metrics
from actreel.evaluation.intervals import interval_over_groups
from actreel.evaluation.paired import Paired, compare_pair, percent
from actreel.evaluation.quantising import CALIBRATION_CLIPS
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.video.clips import load_clip

_TIMED_RUNS = 9


@dataclass(frozen=True)
class Clips:
    """The clips that a model is rounded with and judged on.

    Attributes:
        store: Their frames.
        videos: The folder that `clip` is relative to.
        train: Index rows of clips that the model was trained on.
        test: Index rows of clips that it has not seen, of its actions; at least one.
        unknown: Index rows of clips that show none of its actions.
    """

    store: Store
    videos: Path
    train: pd.DataFrame
    test: pd.DataFrame
    unknown: pd.DataFrame

    @property
    def calibration(self) -> pd.DataFrame:
        """Some of the training clips, of every action as many as it has of all."""
        rows = self.train.sort_values(["action", "clip"])
        count = min(CALIBRATION_CLIPS, len(rows))
        return rows.iloc[np.linspace(0, len(rows) - 1, count).round().astype(int)]

    def frames(self, classifier: ActionClassifier, rows: pd.DataFrame) -> Iterator[NDArray[np.uint8]]:
        """Clips with the classifier's settings, uint8 (T, H, W, 3) each, from the store if it has the same."""
        for clip in rows["clip"]:
            if self.store.frames is not None and self.store.spec == classifier.card.clip:
                yield self.store.frames.take([clip])[0]
            else:
                yield load_clip(self.videos / clip, classifier.card.clip)


@dataclass(frozen=True)
class Form:
    """One form of a model on the held-out clips.

    Attributes:
        right: bool (N,), which clips it classifies correctly.
        probabilities: float32 (N, K), as served.
        limit: Its rejection limit; None if it accepts every clip.
        accepted: Share of the clips that it accepts as known.
        rejected: Share of the unknown clips that it does not accept; None if there are none.
        calibration_error: Expected calibration error.
        ms_per_clip: As served, on one thread, without decoding: the median.
        megabytes: Of its network files.
    """

    right: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    limit: float | None
    accepted: float
    rejected: float | None
    calibration_error: float
    ms_per_clip: float
    megabytes: float

    @property
    def accuracy(self) -> float:
        """Share of the clips that it classifies correctly."""
        return float(self.right.mean())


def measure(folder: Path, clips: Clips) -> Form:
    """Scores the held-out clips with a model folder as the service runs it.

    Raises:
        ModelError: The folder cannot be opened.
    """
    classifier = ActionClassifier.load(folder)
    card = classifier.card
    targets = np.array([card.labels.index(action) for action in clips.test["action"]], dtype=np.int64)
    scores = score(classifier, clips.store, clips.test, clips.videos)
    limit = np.inf if card.max_distance is None else card.max_distance
    rejected = None
    if len(clips.unknown):
        rejected = float((score(classifier, clips.store, clips.unknown, clips.videos).distances > limit).mean())
    return Form(
        right=np.asarray(scores.probabilities.argmax(axis=1) == targets),
        probabilities=scores.probabilities,
        limit=card.max_distance,
        accepted=float((scores.distances <= limit).mean()),
        rejected=rejected,
        calibration_error=metrics.calibration_error(scores.probabilities, targets),
        ms_per_clip=_time(folder, next(clips.frames(classifier, clips.test))),
        megabytes=sum(file.stat().st_size for file in ModelFolder(folder).network_files()) / 1e6,
    )


def _time(folder: Path, clip: NDArray[np.uint8]) -> float:
    classifier = ActionClassifier.load(folder, threads=1)
    classifier.score(clip[np.newaxis])  # the first run allocates memory
    taken = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        classifier.score(clip[np.newaxis])
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


@dataclass(frozen=True)
class Comparison:
    """A model in float32 and in int8, on the same held-out clips.

    Attributes:
        float32: The model as it was trained.
        int8: The model rounded.
        groups: str (N,), each clip's group.
        max_drop: What int8 may lose in each respect, as a share.
    """

    float32: Form
    int8: Form
    groups: Sequence[str]
    max_drop: float

    @property
    def pair(self) -> Paired:
        """The accuracies, float32 first."""
        return compare_pair(self.float32.right, self.int8.right, self.groups)

    @property
    def losses(self) -> dict[str, float]:
        """What int8 loses, as shares: of accuracy, calibration and, with unknown clips, of their rejection."""
        before, after = self.float32, self.int8
        lost = {
            "accuracy": before.accuracy - after.accuracy,
            "the share of known clips that the rejection limit accepts": before.accepted - after.accepted,
            "the agreement of confidence and accuracy": after.calibration_error - before.calibration_error,
        }
        if before.rejected is not None and after.rejected is not None:
            lost["the share of unknown clips that the rejection limit rejects"] = before.rejected - after.rejected
        return lost

    @property
    def too_much(self) -> list[str]:
        """What int8 loses more of than it may, in words."""
        # A loss of exactly the bound is allowed; a difference of shares may exceed it by a rounding.
        lost = {what: loss for what, loss in self.losses.items() if loss > self.max_drop + 1e-9}
        return [f"{percent(loss)} of {what}" for what, loss in lost.items()]

    @property
    def in_words(self) -> str:
        """Which form is served and why, in a sentence or two."""
        clips = f"{len(self.int8.right)} held-out clips"
        if self.too_much:
            return (
                f"The model is served in float32: on {clips}, int8 loses {' and '.join(self.too_much)}, and "
                f"package.max_drop allows {percent(self.max_drop)}."
            )
        pair = self.pair
        slower = "" if self.int8.ms_per_clip < self.float32.ms_per_clip else " It is no faster on this machine."
        return (
            f"The model is served in int8: on {clips}, {percent(pair.second_accuracy)} are right, and "
            f"{percent(pair.first_accuracy)} in float32 (difference {100 * pair.difference:+.1f} points, 95 %: "
            f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}). {self._limit_in_words}On these clips, rejection "
            f"and confidences hold in int8 within {percent(self.max_drop)}.{slower}"
        )

    @property
    def _limit_in_words(self) -> str:
        if self.float32.limit is None or self.int8.limit is None:
            return ""
        return (
            f"The rejection limit was moved from {self.float32.limit:.4g} to {self.int8.limit:.4g}, by what rounding "
            "adds to the distances of training clips. "
        )

    @property
    def table(self) -> list[tuple[str, str, str]]:
        """What was measured, float32 beside int8, in words."""
        both = (self.float32, self.int8)

        def row(title: str, *values: str) -> tuple[str, str, str]:
            return (title, values[0], values[1])

        rows = [
            row(f"Accuracy on {len(self.int8.right)} held-out clips", *(percent(each.accuracy) for each in both)),
            row("Known clips accepted at the rejection limit", *(percent(each.accepted) for each in both)),
            row("Unknown clips rejected", *(percent(each.rejected) for each in both if each.rejected is not None))
            if self.int8.rejected is not None
            else None,
            row("Gap between confidence and accuracy", *(percent(each.calibration_error) for each in both)),
            row("One clip, one thread, without decoding", *(f"{each.ms_per_clip:.1f} ms" for each in both)),
            row("Network files", *(f"{each.megabytes:.1f} MB" for each in both)),
        ]
        return [each for each in rows if each is not None]

    @property
    def labels(self) -> dict[str, str]:
        """What the service says of the model in int8, in place of what the registry says of it in float32."""
        low, high = interval_over_groups(self.int8.right, self.groups)
        shares = {"accuracy": self.int8.accuracy, "accuracy_low": low, "accuracy_high": high}
        return {name: f"{share:.6g}" for name, share in shares.items()} | {
            "precision": "int8",
            "float32_accuracy": f"{self.float32.accuracy:.6g}",
        }
