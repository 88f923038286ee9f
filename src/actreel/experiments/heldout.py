"""Held-out scores: a dataset is prepared once, then models are trained on some groups and scored on others.

Cross-validation, selection and tuning are all made of this.
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

from actreel.base.code_digest import TRAINING, code_digest
from actreel.base.kept import borrow
from actreel.base.places import UNPACKED
from actreel.config import ClipSpec, Params, reads_frames_again
from actreel.dataset.layout import SPLITS, TEST
from actreel.dataset.records import check_pictures, clips_of, index_videos, labels_of
from actreel.dataset.sources import ingest
from actreel.dataset.store import Store, StoredClips, extract_clips
from actreel.errors import ConfigError
from actreel.evaluation import metrics
from actreel.tracking import runs
from actreel.training.choice import choose
from actreel.training.features import encode_clips, open_inputs
from actreel.training.strategies import MULTI_WORKER
from actreel.training.train import predict, targets_of, train

log = logging.getLogger(__name__)

Inputs = Callable[[ClipSpec], Store]
"""From clip settings to the store of what a network is fitted to."""


@dataclass(frozen=True)
class Score:
    """How one model did on the clips held out from it.

    Attributes:
        groups: Groups of the test clips.
        num_test_clips: How many there are.
        accuracy: Share of them that is classified correctly.
        balanced_accuracy: See `metrics.balanced_accuracy`.
        epochs: Epochs trained.
        parameters: Number of trained weights.
        answers: For each test clip its name, its action, the predicted action, and the probability of its own action.
    """

    groups: list[str]
    num_test_clips: int
    accuracy: float
    balanced_accuracy: float
    epochs: int
    parameters: int
    answers: list[tuple[str, str, str, float]]


def results_folder(parent: Path, *key: object, fresh: bool) -> Path:
    """The folder for the finished parts of an experiment, so that an interrupted one continues.

    Its name holds everything that the results depend on, the code included: with other code, an experiment starts over.

    Args:
        parent: The folder of all such folders.
        key: Settings and data, in plain values.
        fresh: Whether to delete what earlier calls finished.
    """
    code = code_digest(*TRAINING, "experiments", "evaluation/metrics.py", packages=("keras",))
    folder = parent / digest(*key, code)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepare(params: Params, work: Path, *, mirror: bool = False, join: bool = True) -> tuple[pd.DataFrame, Inputs]:
    """Ingests, indexes and extracts clips, and encodes them if the encoder is frozen.

    Steps that are already done are skipped.

    Args:
        params: Dataset, clip settings and encoder.
        work: Folder for all of it.
        mirror: Whether mirrored features are needed even if the parameters do not say so.
        join: As for `index_videos`.

    Returns:
        The index without splits, and the inputs of a network: ready for the parameters' own clip settings, and made at
        the first call for others.

    Raises:
        ActreelError: The source or a clip cannot be used, or `train.strategy` needs several machines.
    """
    if params.train.strategy == MULTI_WORKER:
        raise ConfigError(
            "Folds and trials are trained on one machine. Received: train.strategy 'multi_worker'. "
            "Try: --set train.strategy=mirrored"
        )
    mirror = mirror or params.train.mirror or "mirror" in params.train.variants
    # The demo's videos depend on the code that renders them; other sources are only linked.
    renderer = [code_digest("dataset/demo")] if params.dataset.name == "demo" else []
    data = work / digest(params.dataset.model_dump(), *renderer)
    videos = data / "videos"
    if params.dataset.name == "folder":
        shutil.rmtree(videos, ignore_errors=True)  # links: made again, so that a deleted clip is deleted here too
    ingest(params.dataset, videos, UNPACKED)
    index = index_videos(videos, params.dataset.group_pattern, params.dataset.own_folder, join=join)
    readable = index[index["error"] == ""]
    check_pictures(readable, params.model.encoder)
    for row in index[index["error"] != ""].itertuples():
        log.warning(f"left out: {row.error}")

    @cache
    def inputs(clip: ClipSpec) -> Store:
        cut = data / digest(clip.model_dump())
        clips = cut / "clips"
        keep = reads_frames_again(params.model.encoder, params.model.weights, params.train.fine_tune)
        extract_clips(readable, videos, clips, clip, keep=keep)
        features = cut / f"features-{digest(params.model.encoder, params.model.weights, mirror)}"
        borrow(features, cut.glob("features-*/*.npy"))  # of these encoders alone, or beside others
        encode_clips(
            readable,
            StoredClips(clips, videos),
            features,
            encoder=params.model.encoder,
            weights=params.model.weights,
            mirror=mirror,
        )
        return open_inputs(clips, features, videos)

    inputs(params.clip)  # errors in clips or encoder must come before a run or a trial starts
    return index, inputs


def fit_and_score(
    params: Params,
    index: pd.DataFrame,
    inputs: Store,
    on_epoch: Callable[[int, Mapping[str, float]], None] = runs.log_epoch,
    variants: Inputs | None = None,
) -> Score:
    """Trains on the index's train and val clips, and scores the test clips.

    Args:
        params: The network and its training.
        index: Rows with `split`.
        inputs: Store with the clips of these splits.
        on_epoch: Called after each epoch with its number, from 1, and its metrics.
        variants: As returned by `prepare`, for `train.variants`; None tries none.
    """
    rows = {split: clips_of(index, split) for split in SPLITS}
    labels = labels_of(index)
    open_variant = None if variants is None else lambda variant: variants(variant.clip)
    choice = choose(params.model, params.train, inputs, rows, labels, open_variant)
    learning = params.train.model_copy(update={"mirror": choice.variant.mirror})
    if variants is not None and choice.variant.clip != inputs.spec:
        inputs = variants(choice.variant.clip)
    fitted, curve = train(choice.network, learning, inputs, rows, labels, on_epoch=on_epoch, scored=choice.scored)
    probabilities = predict(fitted, inputs, rows[TEST], params.evaluate.batch_size)
    predicted = [labels[action] for action in probabilities.argmax(axis=1)]
    actions = rows[TEST]["action"].tolist()
    own = probabilities[np.arange(len(predicted)), targets_of(rows[TEST], labels)].astype(float).tolist()
    return Score(
        groups=sorted(rows[TEST]["group"].unique()),
        num_test_clips=len(predicted),
        accuracy=float(np.mean([answer == action for answer, action in zip(predicted, actions, strict=True)])),
        balanced_accuracy=metrics.balanced_accuracy(actions, predicted),
        epochs=len(curve),
        parameters=sum(int(np.prod(weights.shape)) for weights in fitted.trainable_weights),
        answers=list(zip(rows[TEST]["clip"].tolist(), actions, predicted, own, strict=True)),
    )


def digest(*content: Any) -> str:
    """A short name for plain values: 12 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
