"""Held-out scores: a dataset made ready once, and one model fitted to some of its groups and scored on others.

What cross-validation, the choice between candidates and the search over settings all do again and again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel.config import ClipSpec, Params
from actreel.dataset.records import SPLITS, TEST, clips_of, index_videos, labels_of
from actreel.dataset.sources import ingest
from actreel.dataset.store import Store, StoredClips, extract_clips
from actreel.errors import ConfigError
from actreel.evaluation import metrics
from actreel.places import UNPACKED
from actreel.tracking import runs
from actreel.training.features import encode_clips, open_inputs
from actreel.training.strategies import MULTI_WORKER
from actreel.training.train import predict, targets_of, train

log = logging.getLogger(__name__)

Inputs = Callable[[ClipSpec], Store]
"""What a network is fitted to, by how its clips are made."""


@dataclass(frozen=True)
class Score:
    """What one model made of the clips held out from it.

    Attributes:
        groups: Groups of the test clips.
        num_test_clips: How many there are.
        accuracy: Share of them that is answered right.
        balanced_accuracy: Mean over the actions of the share of each that is answered right.
        epochs: Epochs trained.
        parameters: Weights that were trained.
        answers: Test clip, its action, the answer, and the probability that was given to its action.
    """

    groups: list[str]
    num_test_clips: int
    accuracy: float
    balanced_accuracy: float
    epochs: int
    parameters: int
    answers: list[tuple[str, str, str, float]]


def prepare(params: Params, work: Path, *, mirror: bool = False) -> tuple[pd.DataFrame, Inputs]:
    """Brings clips in, indexes and extracts them, and encodes them where the encoder is frozen.

    What is done already is kept.

    Args:
        params: Dataset, clip settings and encoder.
        work: Folder for it all.
        mirror: Whether mirrored features are needed even if `train.mirror` is off.

    Returns:
        The index without splits, and what a network is fitted to: made already for the parameters' own clip settings,
        and at the first call for others.

    Raises:
        ActreelError: The source or a clip cannot be used, or training is told to take several machines.
    """
    if params.train.strategy == MULTI_WORKER:
        raise ConfigError(
            "folds and trials must be trained on one machine. Received: train.strategy 'multi_worker', under which "
            "each worker would write. Try: --set train.strategy=mirrored"
        )
    mirror = mirror or params.train.mirror
    data = work / digest(params.dataset.model_dump())
    videos = data / "videos"
    if params.dataset.name == "folder":
        shutil.rmtree(videos, ignore_errors=True)  # links: made anew, so that a clip that is gone is gone here too
    ingest(params.dataset, videos, UNPACKED)
    index = index_videos(videos, params.dataset.group_pattern)
    readable = index[index["error"] == ""]
    for row in index[index["error"] != ""].itertuples():
        log.warning(f"left out: {row.error}")

    @cache
    def inputs(clip: ClipSpec) -> Store:
        cut = data / digest(clip.model_dump())
        clips = cut / "clips"
        extract_clips(readable, videos, clips, clip)
        features = cut / f"features-{digest(params.model.encoder, params.model.weights, mirror)}"
        encode_clips(
            readable,
            StoredClips(clips),
            features,
            encoder=params.model.encoder,
            weights=params.model.weights,
            mirror=mirror,
        )
        return open_inputs(clips, features)

    inputs(params.clip)  # what is wrong with the clips or the encoder is told before a run or a trial begins
    return index, inputs


def fit_and_score(
    params: Params,
    index: pd.DataFrame,
    inputs: Store,
    on_epoch: Callable[[int, Mapping[str, float]], None] = runs.log_epoch,
) -> Score:
    """Trains on the index's train and val clips, and scores the test clips.

    Args:
        params: The network and its training.
        index: Rows with `split`.
        inputs: Store with the clips of these splits.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
    """
    rows = {split: clips_of(index, split) for split in SPLITS}
    labels = labels_of(index)
    fitted, curve = train(params.model, params.train, inputs, rows, labels, on_epoch=on_epoch)
    probabilities = predict(fitted, inputs, rows[TEST], params.evaluate.batch_size)
    answers = [labels[place] for place in probabilities.argmax(axis=1)]
    actions = rows[TEST]["action"].tolist()
    given = probabilities[np.arange(len(answers)), targets_of(rows[TEST], labels)].astype(float).tolist()
    return Score(
        groups=sorted(rows[TEST]["group"].unique()),
        num_test_clips=len(answers),
        accuracy=float(np.mean([answer == action for answer, action in zip(answers, actions, strict=True)])),
        balanced_accuracy=metrics.balanced_accuracy(actions, answers),
        epochs=len(curve),
        parameters=sum(int(np.prod(weights.shape)) for weights in fitted.trainable_weights),
        answers=list(zip(rows[TEST]["clip"].tolist(), actions, answers, given, strict=True)),
    )


def write_aside(file: Path, content: Any) -> None:
    """Writes JSON whole or not at all."""
    aside = file.with_name(f".{file.name}.part")
    aside.write_text(json.dumps(content), encoding="utf-8")
    aside.replace(file)


def digest(*content: Any) -> str:
    """A short name for plain values: 12 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
