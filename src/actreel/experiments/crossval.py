"""Cross-validation: every clip is tested once, by a model that was trained on no clip of its group.

Starts from the dataset's source and works in its own folder, so `dvc repro` and its outputs are not touched. If it is
killed, the next call continues with the fold that was interrupted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel.base.atomic import written_aside
from actreel.base.faults import reading
from actreel.base.places import CROSSVAL
from actreel.config import Params
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.records import data_version
from actreel.dataset.splits import assign_folds, hold_out_fold, learnable_clips, shuffle_within_actions
from actreel.errors import ConfigError
from actreel.evaluation import metrics
from actreel.evaluation.intervals import interval_over_groups
from actreel.experiments.heldout import Inputs, Score, fit_and_score, prepare, results_folder
from actreel.experiments.nested import INNER_FOLDS, Settings, apply, choose
from actreel.tracking import runs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """The candidates of nested cross-validation.

    Attributes:
        candidates: Settings to select from; none takes the parameters as they are.
        inner_folds: Parts of a fold's training groups that the candidates are compared on.
    """

    candidates: Sequence[Settings]
    inner_folds: int


@dataclass(frozen=True)
class Fold:
    """A finished fold.

    Attributes:
        score: On its test clips.
        choice: The selected `settings`, and the scores of the `candidates`; None without candidates.
    """

    score: Score
    choice: dict[str, Any] | None

    def save(self, file: Path) -> None:
        """Writes JSON."""
        with written_aside(file) as aside:
            aside.write_text(json.dumps({**asdict(self.score), "choice": self.choice}), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Fold:
        """Reads what `save` wrote.

        Raises:
            FileError: The file is missing or damaged.
        """
        with reading(file, f"Compute this fold again: rm '{file}', then run the same command."):
            values = json.loads(file.read_text(encoding="utf-8"))
            choice = values.pop("choice")
            return cls(Score(**values), choice)

    def summary(self) -> dict[str, Any]:
        """The score without its answers, and the choice if there was one."""
        score = {name: value for name, value in asdict(self.score).items() if name != "answers"}
        return score | ({"choice": self.choice} if self.choice else {})


def cross_validate(
    params: Params,
    folds: int | None,
    work: Path = CROSSVAL,
    candidates: Sequence[Settings] = (),
    inner_folds: int = INNER_FOLDS,
    fresh: bool = False,
) -> dict[str, Any]:
    """Trains and tests a model for each fold, as children of one MLflow run.

    Each fold's validation clips, which decide when training stops, come from its training groups. With
    `split.protocol` `random`, the clips of each action are shuffled over the same folds: leaky, to compare with papers.

    Args:
        params: Dataset, clip, model and training; `split.val` and `split.seed`.
        folds: Number of folds; None leaves one group out at a time.
        work: Folder for clips, features and finished folds.
        candidates: Settings that each fold selects from on its training groups (nested cross-validation); none takes
            the parameters as they are.
        inner_folds: Parts of a fold's training groups that the candidates are compared on.
        fresh: Whether to start over instead of continuing with the folds that are finished.

    Returns:
        `protocol`, `leaky`, `folds` (a dictionary each, with its `choice` if there were candidates), `mean_accuracy`,
        `std_accuracy` (over the folds), `pooled_accuracy` and `balanced_accuracy` (over all clips, each tested once),
        `pooled_accuracy_low` and `_high` (its 95 % interval for new groups), `num_groups`, `num_clips`, `run_id`.

    Raises:
        ActreelError: The parameters, the clips or the folds do not fit.
    """
    leaky = params.split.leaky
    if leaky and folds is None:
        raise ConfigError("split.protocol 'random' needs a number of folds. Received: --folds logo. Try: --folds 5")
    index, inputs = prepare(params, work, mirror=any(settings.get("train.mirror") for settings in candidates))
    clips = learnable_clips(index, params.split.unknown)
    fold_of = assign_folds(clips, folds, params.split.seed)
    if leaky:
        fold_of = shuffle_within_actions(clips, fold_of, params.split.seed)
    num_folds = int(fold_of.max()) + 1
    protocol = "logo" if folds is None else f"{'random' if leaky else 'group'}_{folds}fold"
    nested = [list(candidates), inner_folds] if candidates else []
    version = data_version(index.assign(split=""))
    kept = results_folder(work / "folds", params.model_dump(by_alias=True), protocol, version, *nested, fresh=fresh)

    done = []
    with runs.parent_run(params, f"{params.dataset.label} {protocol}", protocol, leaky, kept / "run") as run_id:
        for number in range(num_folds):
            file = kept / f"fold-{number:03d}.json"
            if file.exists():
                log.info(f"fold {number + 1} of {num_folds} is already done, see {file}")
            else:
                index["split"] = hold_out_fold(clips, fold_of, number, params.split).reindex(index.index, fill_value="")
                with runs.child_run(f"fold {number + 1}", file.with_suffix(".run")):
                    fold = _test_fold(params, index, inputs, Selection(candidates, inner_folds), file.with_suffix(""))
                fold.save(file)
                log.info(f"fold {number + 1} of {num_folds}: accuracy {fold.score.accuracy:.3f}")
            done.append(Fold.load(file))
        summary = _summary([fold.score for fold in done], clips.set_index("clip")["group"])
        runs.log_metrics(summary)
    return {
        "protocol": protocol,
        "leaky": leaky,
        "folds": [{"fold": number} | fold.summary() for number, fold in enumerate(done, 1)],
        **summary,
        "num_clips": sum(fold.score.num_test_clips for fold in done),
        "run_id": run_id,
    }


def _test_fold(params: Params, index: pd.DataFrame, inputs: Inputs, selection: Selection, kept: Path) -> Fold:
    """Selects settings if there are candidates, then trains and scores a model, in the open MLflow run."""
    choice = None
    if selection.candidates:
        # Selection never sees test clips.
        training = index[index["split"].isin((TRAIN, VAL))]
        best, scores = choose(params, selection.candidates, training, inputs, selection.inner_folds, kept)
        settings = selection.candidates[best]
        params = apply(params, settings)
        choice = {"settings": settings, "candidates": [asdict(score) for score in scores]}
        runs.log_settings({"chosen": best + 1, **settings})
    score = fit_and_score(params, index, inputs(params.clip), variants=inputs)
    runs.log_metrics({"accuracy": score.accuracy, "balanced_accuracy": score.balanced_accuracy})
    return Fold(score, choice)


def _summary(scores: Sequence[Score], group_of: pd.Series) -> dict[str, float]:
    """Metrics over the folds, and over all clips, given the group of each clip's name."""
    accuracies = np.array([score.accuracy for score in scores])
    answers = [answer for score in scores for answer in score.answers]
    actions, predicted = [answer[1] for answer in answers], [answer[2] for answer in answers]
    right, groups = np.equal(actions, predicted), group_of[[answer[0] for answer in answers]].tolist()
    low, high = interval_over_groups(right, groups)
    return {
        "mean_accuracy": float(accuracies.mean()),
        "std_accuracy": float(accuracies.std()),
        "pooled_accuracy": float(right.mean()),
        "pooled_accuracy_low": low,
        "pooled_accuracy_high": high,
        "num_groups": len(set(groups)),
        "balanced_accuracy": metrics.balanced_accuracy(actions, predicted),
    }
