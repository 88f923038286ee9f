"""Cross-validation: every clip is tested once, by a model that has seen no clip of its group.

Works from the source on, in a folder of its own beside the pipeline's, so that `dvc repro` and its outputs are left
alone. Killed at any point, it goes on with the fold that it was at.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel import evaluation, tracking
from actreel.config import Params
from actreel.dataset.records import SPLITS, TEST, clips_of, data_version, index_videos, labels_of
from actreel.dataset.sources import ingest
from actreel.dataset.splits import assign_folds, hold_out_fold, learnable_clips, shuffle_within_actions
from actreel.dataset.store import Store, StoredClips, extract_clips
from actreel.errors import ConfigError
from actreel.features import encode_clips, open_inputs
from actreel.training import predict, train

log = logging.getLogger(__name__)

WORK = Path("artifacts") / "crossval"
UNPACKED = Path("data") / "unpacked"


@dataclass(frozen=True)
class Score:
    """What one model made of the clips held out from it.

    Attributes:
        groups: Groups of the test clips.
        num_test_clips: How many there are.
        accuracy: Share of them that is answered right.
        balanced_accuracy: Mean over the actions of the share of each that is answered right.
        epochs: Epochs trained.
        answers: Test clip, its action and the answer.
    """

    groups: list[str]
    num_test_clips: int
    accuracy: float
    balanced_accuracy: float
    epochs: int
    answers: list[tuple[str, str, str]]


def cross_validate(params: Params, folds: int | None, work: Path = WORK) -> dict[str, Any]:
    """Trains and tests a model for each fold, as children of one MLflow run.

    Each fold's validation clips, which decide when training stops, come from its training groups. With
    `split.protocol` `random`, the same folds are shuffled within each action: leaky, to compare with papers.

    Args:
        params: Dataset, clip, model and training; `split.val` and `split.seed`.
        folds: How many; None leaves one group out at a time.
        work: Where clips, features and finished folds are kept.

    Returns:
        `protocol`, `leaky`, `folds` (a dictionary each), `mean_accuracy`, `std_accuracy` (over the folds),
        `pooled_accuracy` and `balanced_accuracy` (over all clips, each tested once), `num_clips`, `run_id`.

    Raises:
        ActreelError: The parameters, the clips or the folds do not fit.
    """
    leaky = params.split.leaky
    if leaky and folds is None:
        raise ConfigError("split.protocol 'random' needs a number of folds. Received: --folds logo. Try: --folds 5")
    index, inputs = prepare(params, work)
    clips = learnable_clips(index, params.split.unknown)
    fold_of = assign_folds(clips, folds, params.split.seed)
    if leaky:
        fold_of = shuffle_within_actions(clips, fold_of, params.split.seed)
    protocol = "logo" if folds is None else f"{'random' if leaky else 'group'}_{folds}fold"
    kept = work / "folds" / _digest(params.model_dump(by_alias=True), protocol, data_version(index.assign(split="")))
    kept.mkdir(parents=True, exist_ok=True)

    scores = []
    with tracking.parent_run(params, f"{params.dataset.label} {protocol}", protocol, leaky, kept / "run") as run_id:
        for fold in range(int(fold_of.max()) + 1):
            file = kept / f"fold-{fold:03d}.json"
            if file.exists():
                log.warning(f"fold {fold + 1} is done already, see {file}")
                scores.append(Score(**json.loads(file.read_text(encoding="utf-8"))))
                continue
            index["split"] = hold_out_fold(clips, fold_of, fold, params.split).reindex(index.index, fill_value="")
            with tracking.child_run(f"fold {fold + 1}", kept / f"fold-{fold:03d}.run"):
                score = fit_and_score(params, index, inputs)
                tracking.log_metrics({"accuracy": score.accuracy, "balanced_accuracy": score.balanced_accuracy})
            write_aside(file, asdict(score))
            scores.append(score)
            log.warning(f"fold {fold + 1} of {int(fold_of.max()) + 1}: accuracy {score.accuracy:.3f}")
        answers = pd.DataFrame(
            [answer for score in scores for answer in score.answers], columns=["clip", "action", "answer"]
        )
        right = answers["action"] == answers["answer"]
        accuracies = np.array([score.accuracy for score in scores])
        summary = {
            "mean_accuracy": float(accuracies.mean()),
            "std_accuracy": float(accuracies.std()),
            "pooled_accuracy": float(right.mean()),
            "balanced_accuracy": float(right.groupby(answers["action"]).mean().mean()),
        }
        tracking.log_metrics(summary)
    return {
        "protocol": protocol,
        "leaky": leaky,
        "folds": [
            {"fold": fold + 1} | {name: value for name, value in asdict(score).items() if name != "answers"}
            for fold, score in enumerate(scores)
        ],
        **summary,
        "num_clips": len(answers),
        "run_id": run_id,
    }


def prepare(params: Params, work: Path) -> tuple[pd.DataFrame, Store]:
    """Brings clips in, indexes and extracts them, and encodes them where the encoder is frozen.

    What is done already is kept.

    Returns:
        The index without splits, and what a network is fitted to.

    Raises:
        ActreelError: The source or a clip cannot be used.
    """
    data = work / _digest(params.dataset.model_dump(), params.clip.model_dump())
    videos, clips = data / "videos", data / "clips"
    if params.dataset.name == "folder":
        shutil.rmtree(videos, ignore_errors=True)  # links: made anew, so that a clip that is gone is gone here too
    ingest(params.dataset, videos, UNPACKED)
    index = index_videos(videos, params.dataset.group_pattern)
    readable = index[index["error"] == ""]
    for row in index[index["error"] != ""].itertuples():
        log.warning(f"left out: {row.error}")
    extract_clips(readable, videos, clips, params.clip)
    features = data / f"features-{_digest(params.model.encoder, params.model.weights, params.train.mirror)}"
    encode_clips(
        readable,
        StoredClips(clips),
        features,
        encoder=params.model.encoder,
        weights=params.model.weights,
        mirror=params.train.mirror,
    )
    return index, open_inputs(clips, features)


def fit_and_score(params: Params, index: pd.DataFrame, inputs: Store) -> Score:
    """Trains on the index's train and val clips, and scores the test clips.

    Args:
        params: The network and its training.
        index: Rows with `split`.
        inputs: From `prepare`.
    """
    rows = {split: clips_of(index, split) for split in SPLITS}
    labels = labels_of(index)
    fitted, curve = train(params.model, params.train, inputs, rows, labels, on_epoch=tracking.log_epoch)
    probabilities = predict(fitted, inputs, rows[TEST], params.evaluate.batch_size)
    answers = [labels[place] for place in probabilities.argmax(axis=1)]
    actions = rows[TEST]["action"].tolist()
    return Score(
        groups=sorted(rows[TEST]["group"].unique()),
        num_test_clips=len(answers),
        accuracy=float(np.mean([answer == action for answer, action in zip(answers, actions, strict=True)])),
        balanced_accuracy=evaluation.balanced_accuracy(actions, answers),
        epochs=len(curve),
        answers=list(zip(rows[TEST]["clip"].tolist(), actions, answers, strict=True)),
    )


def write_aside(file: Path, content: Any) -> None:
    """Writes JSON whole or not at all."""
    aside = file.with_name(f".{file.name}.part")
    aside.write_text(json.dumps(content), encoding="utf-8")
    aside.replace(file)


def _digest(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
