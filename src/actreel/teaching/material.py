"""What a lesson is learned with: the workspace's clips that the model was trained on, earlier lessons, the lesson."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.places import UNKNOWN
from actreel.dataset.layout import TEST, TRAIN
from actreel.dataset.records import data_version, usable
from actreel.dataset.store import Store
from actreel.errors import DatasetError, ModelError
from actreel.inference.manifest import ClassifierCard
from actreel.inference.windows import LONGEST_SINGLE
from actreel.teaching.network import Network, Seen
from actreel.teaching.taught import COLUMNS, Taught
from actreel.video.clips import load_clip_and_info

CHECKED_CLIPS = 8
"""Clips of the lesson by which the draft's files are checked."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """Clips to learn and to test with. The rows have `clip`, `action`, `group` and `sha256`.

    Attributes:
        rows: The N clips to learn from.
        seen: What the network makes of them.
        known_before: bool (N,), clips that the layers below the last one were fitted to.
        trained_before: bool (N,), clips that the version before was trained on in any way.
        taught: bool (N,), clips of this lesson and of earlier ones; those of this one are the last.
        lesson: The last rows: the clips of this lesson that show an action.
        encoded: Of these, the first few as the encoder gives them.
        test: The clips to test with, which no version was trained on. A group of theirs may be in a lesson.
        test_seen: What the network makes of them.
        unknown: The lesson's clips that show no action.
        unknown_seen: What the network makes of them.
        unknown_before: float32, their distances by the version before.
        data_version: Of the clips that the model was trained on before its first lesson.
    """

    rows: pd.DataFrame
    seen: Seen
    known_before: NDArray[np.bool_]
    trained_before: NDArray[np.bool_]
    taught: NDArray[np.bool_]
    lesson: pd.DataFrame
    encoded: NDArray[Any]
    test: pd.DataFrame
    test_seen: Seen
    unknown: pd.DataFrame
    unknown_seen: Seen
    unknown_before: NDArray[np.float32]
    data_version: str

    @property
    def lessons(self) -> Taught:
        """All that the draft was taught."""
        return Taught(self.data_version, self.rows[self.taught].reset_index(drop=True), self.seen.where(self.taught))


def gather(
    network: Network, settings: Mapping[str, str], lesson: pd.DataFrame, index: pd.DataFrame, inputs: Store
) -> Material:
    """Gathers the clips, and lets the network see them.

    Args:
        network: The version to teach.
        settings: Parameters of the run that trained it, by `section.key`.
        lesson: From `read_lesson`.
        index: The workspace's index.
        inputs: The workspace's features or frames.

    Raises:
        DatasetError: The model was trained on all of the lesson already.
        ModelError: The workspace lacks what the model was trained on, or it cannot be taught; see `_fitted_below`.
        VideoError: A clip of the lesson cannot be decoded.
    """
    seen_before = set(network.files.seen_clips.read_text(encoding="utf-8").split())
    earlier = Taught.load(network.files.taught) if network.files.taught.is_file() else None
    version = earlier.data_version if earlier else network.classifier.card.provenance.data_version
    others = usable(index)
    others = others[others["action"].isin(network.labels)]
    if earlier is not None:  # which may have given a clip of the index another action
        others = others[~others["sha256"].isin(earlier.rows["sha256"])]
    lesson = _without_known(lesson, others[others["sha256"].isin(seen_before)], earlier)
    others = others[~others["sha256"].isin(lesson["sha256"])]
    trained = others[others["sha256"].isin(seen_before)]
    test = others[(others["split"] == TEST) & ~others["sha256"].isin(seen_before)]
    past = earlier.rows[~earlier.rows["sha256"].isin(lesson["sha256"])] if earlier else lesson.iloc[:0]
    _check_at_hand(network, trained, past)
    fitted = _fitted_below(network, settings, trained, version == data_version(index))

    stored = network.see_stored(inputs, pd.concat([trained, test]))
    is_test = np.arange(len(trained) + len(test)) >= len(trained)
    encoded = list(network.encode(partial(_decoded, network.classifier.card), lesson["path"]))
    own, shows_none = network.see(encoded), (lesson["action"] == UNKNOWN).to_numpy()
    distances = np.concatenate([network.classifier.score_encoded(batch).distances for batch in encoded])
    learned = lesson[~shows_none]
    parts = [stored.where(~is_test), own.where(~shows_none)]
    if earlier is not None:
        parts.insert(1, earlier.seen.where(past.index.to_numpy()))
    rows = pd.concat([trained[COLUMNS], past[COLUMNS], learned[COLUMNS]], ignore_index=True)
    _warn_of_familiar(learned, trained[fitted])
    return Material(
        rows=rows,
        seen=Seen.of(parts),
        known_before=np.r_[fitted, np.zeros(len(past) + len(learned), dtype=bool)],
        trained_before=rows["sha256"].isin(seen_before).to_numpy(),
        taught=np.arange(len(rows)) >= len(trained),
        lesson=learned.reset_index(drop=True),
        encoded=np.concatenate(encoded)[~shows_none][:CHECKED_CLIPS],
        test=test[COLUMNS].reset_index(drop=True),
        test_seen=stored.where(is_test),
        unknown=lesson[shows_none].reset_index(drop=True),
        unknown_seen=own.where(shows_none),
        unknown_before=distances[shows_none],
        data_version=version,
    )


def _without_known(lesson: pd.DataFrame, trained: pd.DataFrame, earlier: Taught | None) -> pd.DataFrame:
    """The lesson without the clips that the model has learned already, as the same action."""
    learned = pd.concat([trained, *([earlier.rows] if earlier else [])])
    pairs = set(zip(learned["sha256"], learned["action"], strict=True))
    known = np.array([pair in pairs for pair in zip(lesson["sha256"], lesson["action"], strict=True)])
    if known.any():
        log.info(f"the model has learned {known.sum()} of the {len(known)} clips already")
    if not (lesson["action"] != UNKNOWN)[~known].any():
        raise DatasetError(
            "A lesson needs a clip that the model has not learned. Received: only clips that it was trained on, as the "
            "same actions. Add other clips."
        )
    return lesson[~known].reset_index(drop=True)


def _check_at_hand(network: Network, trained: pd.DataFrame, past: pd.DataFrame) -> None:
    """Checks that each action's training clips are in the workspace: it would be forgotten otherwise."""
    lost = sorted(set(network.labels) - set(trained["action"]) - set(past["action"]))
    if lost:
        raise ModelError(
            f"Teaching needs training clips of every action that the model knows. Received: a workspace without those "
            f"of '{lost[0]}'" + (f" and {len(lost) - 1} more" if lost[1:] else "") + ". Bring the clips back that the "
            "version was trained on: git checkout its commit, then dvc checkout; or train again: make repro"
        )


def _fitted_below(
    network: Network, settings: Mapping[str, str], trained: pd.DataFrame, same_data: bool
) -> NDArray[np.bool_]:
    """Which of the training clips the layers below the last one were fitted to: bool (n,).

    Raises:
        ModelError: They cannot be told from the validation clips, or there are no others.
    """
    if network.params.is_probe and settings.get("train.fine_tune", "0") == "0":
        return np.zeros(len(trained), dtype=bool)  # a frozen encoder was fitted to none
    again = "Learn with a frozen encoder, which has no such limit: make learn RECIPE=transfer"
    if settings.get("train.refit") == "True":
        raise ModelError(
            "Teaching a trained network needs validation clips that it was not fitted to, to set its confidence. "
            f"Received: one with train.refit, which was fitted to all. {again}"
        )
    if not same_data:
        raise ModelError(
            "Teaching a trained network needs the clips and splits that it was trained with, to know which clips it "
            "was fitted to. Received: a workspace whose clips or splits have changed since. Bring them back: git "
            f"checkout its commit, then dvc checkout; or train again: make repro. {again}"
        )
    return (trained["split"] == TRAIN).to_numpy()


def _warn_of_familiar(lesson: pd.DataFrame, fitted: pd.DataFrame) -> None:
    """Warns if the layers below were fitted to other clips of the lesson's groups."""
    if familiar := set(lesson["group"]) & set(fitted["group"]):
        log.warning(
            f"The network was trained on other clips of {len(familiar)} of the lesson's {lesson['group'].nunique()} "
            "groups, so what is said of how well it recognises them may be too good."
        )


def _decoded(card: ClassifierCard, path: str) -> NDArray[np.uint8]:
    """A clip of the lesson, uint8 (T, H, W, 3); a warning if it is much longer than what the model looks at."""
    frames, info = load_clip_and_info(Path(path), card.clip)
    if card.clip_duration_s and info.duration_s > LONGEST_SINGLE * card.clip_duration_s:
        log.warning(
            f"'{path}' lasts {info.duration_s:.1f} s, and the model looks at {card.clip_duration_s:.1f} s at once. "
            "It is learned as a whole; cut it to the action, if it shows more than that."
        )
    return frames
