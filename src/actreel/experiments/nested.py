"""Selection between settings on the training groups alone: it never sees test clips.

Candidates are trained and scored on inner folds of the training groups, and compared by balanced accuracy, then by log
loss. The winner's scores are too high, as the best of many; test clips that had no part in the selection give the fair
value (nested cross-validation: Cawley and Talbot, JMLR 2010).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from actreel.base.atomic import written_aside
from actreel.base.faults import reading
from actreel.config import ClipSpec, ModelParams, Params, SplitParams, TrainParams, override
from actreel.dataset.layout import TEST, TRAIN, VAL
from actreel.dataset.splits import assign_folds, hold_out_fold
from actreel.dataset.store import Store
from actreel.errors import ConfigError, DatasetError
from actreel.evaluation import metrics
from actreel.experiments.heldout import Inputs, Score, fit_and_score
from actreel.tracking import runs

log = logging.getLogger(__name__)

INNER_FOLDS = 4

Settings = Mapping[str, Any]
"""Values by `section.key`."""

# Features come from one encoder, computed before any selection; the best of many seeds is luck; mirroring rules and
# devices are given by the task and the machine; and rejection is not scored.
_FIXED = frozenset({"encoder", "weights", "seed", "mirror_as", "precision", "strategy", "true_accept_rate", "variants"})
CHOOSABLE = frozenset(
    f"{section}.{key}"
    for section, fields in (
        ("clip", ClipSpec.model_fields),
        ("model", ModelParams.model_fields),
        ("train", TrainParams.model_fields),
    )
    for key in fields.keys() - _FIXED
)


@dataclass(frozen=True)
class InnerScore:
    """How good settings are on the inner folds.

    Attributes:
        balanced_accuracy: See `metrics.balanced_accuracy`.
        log_loss: Mean over the actions of the mean of -log of the probability of a clip's own action, in nats.
    """

    balanced_accuracy: float
    log_loss: float

    @property
    def rank(self) -> tuple[float, float]:
        """Higher is better."""
        return (self.balanced_accuracy, -self.log_loss)


def read_candidates(file: Path, params: Params) -> list[Settings]:
    """Reads a YAML list with one mapping of `section.key` to value for each candidate.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown, out of range or cannot be selected.
    """
    candidates = read_yaml(file)
    if not (isinstance(candidates, list) and candidates and all(isinstance(entry, dict) for entry in candidates)):
        raise ConfigError(
            f"{file} must be a list of candidates. Received: {type(candidates).__name__}. "
            "Try: - {model.head: gru, model.units: 64}"
        )
    for settings in candidates:
        apply(params, settings)
    return candidates


def read_yaml(file: Path) -> Any:
    """A YAML file's content.

    Raises:
        ConfigError: The file cannot be read or is not YAML.
    """
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read as YAML: {error}") from error


def apply(params: Params, settings: Settings) -> Params:
    """The parameters with these settings.

    Raises:
        ConfigError: A setting is unknown, out of range or cannot be selected.
    """
    for name in settings:
        if name not in CHOOSABLE:
            raise ConfigError(
                f"The setting '{name}' cannot be selected. Those that can: {', '.join(sorted(CHOOSABLE))}. "
                "Set others with --set."
            )
    return override(params, flags(settings))


def flags(settings: Settings) -> list[str]:
    """The settings as `section.key=value`, in a form that this program, DVC and a shell read alike."""
    return [f"{name}={value if _is_word(value) else json.dumps(value)}" for name, value in settings.items()]


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and yaml.safe_load(value) == value


def inner_splits(rows: pd.DataFrame, folds: int | None, split: SplitParams) -> list[pd.DataFrame]:
    """Splits the training groups into groups to train on and groups to score on.

    Args:
        rows: Rows of the splits `train` and `val`, and of no other.
        folds: Number of inner folds, each scored once by a model trained on the others; None scores the `val` rows.
        split: The share for validation within each inner training part, and the seed.

    Returns:
        For each inner fold, the rows with its `split`: the model is scored on `test`.

    Raises:
        ConfigError: There are rows of another split.
        DatasetError: There are fewer groups than folds, or an action is left with nothing to train on.
    """
    if (outside := set(rows["split"]) - {TRAIN, VAL}) or rows.empty:
        raise ConfigError(
            f"Selection uses training and validation clips only. Received clips of: {', '.join(outside) or 'no split'}"
        )
    if folds is None:
        return [pd.concat([rows, rows[rows["split"] == VAL].assign(split=TEST)], ignore_index=True)]
    fold_of = assign_folds(rows, folds, split.seed)
    splits = [rows.assign(split=hold_out_fold(rows, fold_of, fold, split)) for fold in range(folds)]
    for fold, inner in enumerate(splits, 1):
        for part, use in ((TRAIN, "train on"), (VAL, "validate on"), (TEST, "score on")):
            if part not in set(inner["split"]):
                raise DatasetError(
                    f"Inner fold {fold} of {folds} has no clips to {use}: there are only {rows['group'].nunique()} "
                    "groups. Add groups, or change the number of folds."
                )
    return splits


def inner_scores(
    params: Params,
    rows: pd.DataFrame,
    inputs: Inputs,
    folds: int | None,
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda epoch, values: None,
) -> Iterator[Score]:
    """Trains and scores once for each of `inner_splits`.

    Args:
        params: The network and its training; `refit` is ignored if the validation clips are scored.
        rows: As for `inner_splits`.
        inputs: Stores; only these rows' clips can be read.
        folds: As for `inner_splits`.
        on_epoch: As for `train`.
    """
    if folds is None:
        params = override(params, ["train.refit=false"])

    def only(spec: ClipSpec) -> Store:
        return inputs(spec).only(rows["clip"])

    for split in inner_splits(rows, folds, params.split):
        yield fit_and_score(params, split, only(params.clip), on_epoch=on_epoch, variants=only)


def pooled(scores: Sequence[Score]) -> InnerScore:
    """The score over the clips of all inner folds."""
    answers = pd.DataFrame(
        [answer for score in scores for answer in score.answers], columns=["clip", "action", "answer", "probability"]
    )
    loss = -np.log(answers["probability"].clip(lower=1e-7))
    return InnerScore(
        balanced_accuracy=metrics.balanced_accuracy(answers["action"].tolist(), answers["answer"].tolist()),
        log_loss=float(loss.groupby(answers["action"]).mean().mean()),
    )


def choose(
    params: Params, candidates: Sequence[Settings], rows: pd.DataFrame, inputs: Inputs, folds: int, kept: Path
) -> tuple[int, list[InnerScore]]:
    """Compares candidates on inner folds, each as a child of the open MLflow run.

    Args:
        params: Those that the candidates share.
        candidates: Settings.
        rows: Index rows of the splits `train` and `val`, and of no other.
        inputs: Stores; only these rows' clips are read.
        folds: Inner folds.
        kept: Folder for the scores of finished candidates, so that an interrupted selection continues.

    Returns:
        The index of the winner, the first if several tie, and the score of each candidate.
    """
    kept.mkdir(parents=True, exist_ok=True)
    scores = []
    for number, settings in enumerate(candidates):
        file = kept / f"candidate-{number:03d}.json"
        if not file.exists():
            with runs.child_run(f"candidate {number + 1}", file.with_suffix(".run")):
                runs.log_settings(settings)
                score = pooled(list(inner_scores(apply(params, settings), rows, inputs, folds)))
                runs.log_metrics({f"inner_{name}": value for name, value in asdict(score).items()})
            with written_aside(file) as aside:
                aside.write_text(json.dumps(asdict(score)), encoding="utf-8")
        with reading(file, f"Score it again: rm '{file}', then run the same command."):
            scores.append(InnerScore(**json.loads(file.read_text(encoding="utf-8"))))
    best = max(range(len(scores)), key=lambda number: scores[number].rank)
    log.info(
        f"candidate {best + 1} of {len(scores)} is best on the inner folds: "
        f"balanced accuracy {scores[best].balanced_accuracy:.3f}, log loss {scores[best].log_loss:.3f}"
    )
    return best, scores
