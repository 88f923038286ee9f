"""Choice between settings inside the training groups: those to be tested on have no part in it.

Candidates are compared on inner folds of the training groups, each trained and scored there as a fold of
cross-validation is: by balanced accuracy, and where that ties by the log loss. The scores of the winner are flattered
by being the best of many; what it is worth, clips outside of all this tell (nested cross-validation: Cawley and Talbot,
JMLR 2010).
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

from actreel.config import ClipSpec, ModelParams, Params, SplitParams, TrainParams, override
from actreel.dataset.records import TEST, TRAIN, VAL
from actreel.dataset.splits import assign_folds, hold_out_fold
from actreel.errors import ConfigError, DatasetError
from actreel.experiments.heldout import Inputs, Score, fit_and_score, write_aside
from actreel.tracking import runs

log = logging.getLogger(__name__)

INNER_FOLDS = 4

Settings = Mapping[str, Any]
"""Values by `section.key`."""

# One encoder makes the features before any choice; the best of many seeds is luck; how clips are mirrored and which
# devices there are is no matter of taste; and rejection is not what is scored.
_GIVEN = frozenset({"encoder", "weights", "seed", "mirror_as", "precision", "strategy", "false_accept_rate"})
CHOOSABLE = frozenset(
    f"{section}.{key}"
    for section, fields in (
        ("clip", ClipSpec.model_fields),
        ("model", ModelParams.model_fields),
        ("train", TrainParams.model_fields),
    )
    for key in fields.keys() - _GIVEN
)


@dataclass(frozen=True)
class InnerScore:
    """What settings are worth inside the training groups.

    Attributes:
        balanced_accuracy: Mean over the actions of the share of each one's clips that is answered right.
        log_loss: Mean over the actions of each one's surprise, in nats: -log of the probability that a clip's own
            action was given.
    """

    balanced_accuracy: float
    log_loss: float

    @property
    def rank(self) -> tuple[float, float]:
        """The higher the better."""
        return (self.balanced_accuracy, -self.log_loss)


def read_candidates(file: Path, params: Params) -> list[Settings]:
    """Reads a YAML list with one mapping of `section.key` to value for each candidate.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown, out of range or nothing to choose.
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
        ConfigError: The file cannot be read or is no YAML.
    """
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"a file of settings must be YAML that can be read. Received: '{file}': {error}") from error


def apply(params: Params, settings: Settings) -> Params:
    """The parameters with these settings.

    Raises:
        ConfigError: A setting is unknown, out of range or nothing to choose.
    """
    for name in settings:
        if name not in CHOOSABLE:
            raise ConfigError(
                f"what is chosen must be a setting of the clips, of the head or of its training. Received: '{name}'. "
                f"Known here: {', '.join(sorted(CHOOSABLE))}. Set the others with --set."
            )
    return override(params, flags(settings))


def flags(settings: Settings) -> list[str]:
    """The settings as `section.key=value`, in a form that this program, DVC and a shell all read as it is meant."""
    return [f"{name}={value if _is_word(value) else json.dumps(value)}" for name, value in settings.items()]


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and yaml.safe_load(value) == value


def inner_splits(rows: pd.DataFrame, folds: int | None, split: SplitParams) -> list[pd.DataFrame]:
    """Ways to train on some of the training groups and score on others of them.

    Args:
        rows: Rows of the splits `train` and `val`, and of no other.
        folds: Parts of their groups, each scored once by what learned from the others; None scores the `val` rows.
        split: Share for validation, within each inner training part, and the seed of the draws.

    Returns:
        The rows with `split` as the inner training sees it: `test` is what it is scored on.

    Raises:
        ConfigError: There are rows of another split.
        DatasetError: There are fewer groups than folds, or an action is left with nothing to train on.
    """
    if (outside := set(rows["split"]) - {TRAIN, VAL}) or rows.empty:
        raise ConfigError(
            f"a choice is made on training and validation clips. Received: {', '.join(outside) or 'none'}"
        )
    if folds is None:
        return [pd.concat([rows, rows[rows["split"] == VAL].assign(split=TEST)], ignore_index=True)]
    fold_of = assign_folds(rows, folds, split.seed)
    splits = [rows.assign(split=hold_out_fold(rows, fold_of, fold, split)) for fold in range(folds)]
    for fold, inner in enumerate(splits, 1):
        for part, use in ((TRAIN, "train on"), (VAL, "validate on"), (TEST, "score on")):
            if part not in set(inner["split"]):
                raise DatasetError(
                    f"inner folds need groups to train on, to validate on and to score on. Received: none to {use} "
                    f"in inner fold {fold} of {folds}, of {rows['group'].nunique()} groups. Add groups, or change "
                    "the number of folds."
                )
    return splits


def inner_scores(
    params: Params,
    rows: pd.DataFrame,
    inputs: Inputs,
    folds: int | None,
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda epoch, metrics: None,
) -> Iterator[Score]:
    """Trains and scores once for each of `inner_splits`.

    Args:
        params: The network and its training; without its `refit` where the validation clips are what is scored.
        rows: As for `inner_splits`.
        inputs: Stores; of them, only these rows' clips are read, and can be.
        folds: As for `inner_splits`.
        on_epoch: As for `train`.
    """
    if folds is None:
        params = override(params, ["train.refit=false"])
    store = inputs(params.clip).only(rows["clip"])
    for split in inner_splits(rows, folds, params.split):
        yield fit_and_score(params, split, store, on_epoch=on_epoch)


def pooled(scores: Sequence[Score]) -> InnerScore:
    """The score over all clips that were scored."""
    answers = pd.DataFrame(
        [answer for score in scores for answer in score.answers], columns=["clip", "action", "answer", "probability"]
    )
    answers["right"] = answers["action"] == answers["answer"]
    answers["surprise"] = -np.log(answers["probability"].clip(lower=1e-7))
    of_action = answers.groupby("action")[["right", "surprise"]].mean().mean()
    return InnerScore(float(of_action["right"]), float(of_action["surprise"]))


def choose(
    params: Params, candidates: Sequence[Settings], rows: pd.DataFrame, inputs: Inputs, folds: int, kept: Path
) -> tuple[int, list[InnerScore]]:
    """Compares candidates on inner folds, each as a child of the open MLflow run.

    Args:
        params: What the candidates share.
        candidates: Settings.
        rows: Index rows of the splits `train` and `val`, and of no other.
        inputs: Stores; only these rows' clips are read.
        folds: Inner folds.
        kept: Folder for the candidates that are done, so that an interrupted choice is gone on with.

    Returns:
        The winner's place, the first among equals, and every candidate's score.
    """
    kept.mkdir(parents=True, exist_ok=True)
    scores = []
    for place, settings in enumerate(candidates):
        file = kept / f"candidate-{place:03d}.json"
        if not file.exists():
            with runs.child_run(f"candidate {place + 1}", file.with_suffix(".run")):
                runs.log_settings(settings)
                score = pooled(list(inner_scores(apply(params, settings), rows, inputs, folds)))
                runs.log_metrics({f"inner_{name}": value for name, value in asdict(score).items()})
            write_aside(file, asdict(score))
        scores.append(InnerScore(**json.loads(file.read_text(encoding="utf-8"))))
    best = max(range(len(scores)), key=lambda place: scores[place].rank)
    log.warning(
        f"candidate {best + 1} of {len(scores)} chosen inside the training groups: "
        f"balanced accuracy {scores[best].balanced_accuracy:.3f}, log loss {scores[best].log_loss:.3f}"
    )
    return best, scores
