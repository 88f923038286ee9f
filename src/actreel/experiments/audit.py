"""Audit of a split: what leaks, and how much of its accuracy is gone where whole groups are held out.

The same probe is solved for the split and for a grouped one, on the same features, and scored on the same test clips.
Without a split of its own, a folder is audited as most projects split it: each clip at random.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel.base.places import CROSSVAL
from actreel.config import Params
from actreel.dataset.layout import TEST, TRAIN, VAL
from actreel.dataset.lists import read_split_list
from actreel.dataset.splits import assign_folds, assign_splits, hold_out_fold, learnable_clips, shuffle_within_actions
from actreel.errors import DatasetError
from actreel.evaluation.intervals import interval_over_groups
from actreel.evaluation.paired import compare_pair
from actreel.experiments.heldout import Inputs, fit_and_score, prepare
from actreel.experiments.leaks import find_leaks, with_guessed_groups, with_joined_twins
from actreel.training.fitting import no_op

FOLDS = 4
"""Folds without a given split: a quarter of the clips is tested at a time, as is usual."""
MOST_FOLDS = 10
"""The most folds to hold groups out in, where a given split tests few clips."""
SETTINGS = (
    "clip.num_frames=8",
    "clip.height=112",
    "clip.width=112",
    "clip.fit=center_crop",
    "clip.colour=rgb",
    "model.encoder=efficientnet_lite0",
    "model.weights=imagenet",
    "model.head=moments_probe",
    "model.motion=none",
    "train.mirror=false",
    "train.balance=true",
    "train.fine_tune=0",
)
"""A probe on small clips: it is the difference that counts, and it takes a few seconds."""

log = logging.getLogger(__name__)

Split = pd.Series


def audit(params: Params, work: Path = CROSSVAL) -> dict[str, Any]:
    """Audits a folder's split.

    With `split.protocol` `lists`, that of the lists is audited; otherwise that of the folder where it came split into
    train and test; otherwise a random one.

    Args:
        params: A dataset of the name `folder`; clip, encoder and probe; `split`.
        work: As for cross-validation, and shared with it: features are kept there.

    Returns:
        `split` (`lists`, `folders` or `random`), `num_clips`, `num_groups`, `num_guessed` (clips whose group is
        guessed), `folds` and `group_folds`; `test_clips`, `with_group_in_training`, `shared_groups`, `twins` and
        `in_both_lists`; `split_accuracy`, `group_accuracy` and `difference`, each with `_low` and `_high`, its 95 %
        interval for new groups; `chance`.

    Raises:
        ActreelError: The folder, its groups or the lists do not fit.
    """
    index, inputs = prepare(params, work, join=False)
    index, num_guessed = with_guessed_groups(index, Path(params.dataset.path))
    index = with_joined_twins(index)
    kind, given, clips = _given_split(index, params)
    seed = params.split.seed
    tested = len(clips) if given is None else int((given == TEST).sum())
    num_groups = clips["group"].nunique()
    group_folds = min(FOLDS if given is None else _folds_of_size(given), num_groups)
    fold_of = assign_folds(clips, group_folds, seed)
    grouped = _as_splits(clips, fold_of, params)
    splits = [given] if given is not None else _as_splits(clips, shuffle_within_actions(clips, fold_of, seed), params)
    leaks = find_leaks(clips, splits)
    log.info(
        f"{leaks.with_group_in_training} of {leaks.test_clips} test clips have clips of their group in the training"
    )
    of_split = _right(params, clips, splits, inputs)
    of_groups = _right(params, clips, grouped, inputs)
    names = [name for name in clips["clip"] if name in of_split and name in of_groups]
    groups = clips.set_index("clip").loc[names, "group"].tolist()
    first, second = (np.array([right[name] for name in names]) for right in (of_groups, of_split))
    paired = compare_pair(first, second, groups)
    return {
        "split": kind,
        "num_clips": len(clips),
        "num_groups": num_groups,
        "num_guessed": num_guessed,
        "folds": len(splits),
        "group_folds": group_folds,
        "test_clips": tested,
        "with_group_in_training": leaks.with_group_in_training,
        "shared_groups": leaks.shared_groups,
        "twins": [asdict(twin) for twin in leaks.twins],
        "in_both_lists": _in_both(params),
        **_with_interval("split_accuracy", second, groups),
        **_with_interval("group_accuracy", first, groups),
        "difference": paired.difference,
        "difference_low": paired.low,
        "difference_high": paired.high,
        "chance": float(clips["action"].value_counts(normalize=True).max()),
    }


def _given_split(index: pd.DataFrame, params: Params) -> tuple[str, Split | None, pd.DataFrame]:
    """What split there is, each clip's side in it if it is given, and the clips that take part."""
    clips = learnable_clips(index, params.split.unknown)
    if params.split.protocol == "lists":
        split = assign_splits(index, params.split)
        return "lists", *_checked(split[clips.index], clips, "the lists")
    if index["folder_split"].any():
        split = clips["folder_split"]
        if TEST not in set(split):
            split = split.replace(VAL, TEST)
        return "folders", *_checked(split, clips, "the folders train and test")
    return "random", None, clips


def _checked(split: Split, clips: pd.DataFrame, source: str) -> tuple[Split, pd.DataFrame]:
    """A split with its clips.

    Raises:
        DatasetError: One of its sides is empty, or an action is tested that is not trained on.
    """
    training = set(clips.loc[split.isin((TRAIN, VAL)), "action"])
    tested = set(clips.loc[split == TEST, "action"])
    if len(training) < 2 or not tested or tested - training:
        without = ", ".join(sorted(tested - training)) or "no action"
        raise DatasetError(
            f"{source} must name training clips of at least 2 actions, and of each action that is tested. Received: "
            f"training clips of {len(training)} actions, test clips of {len(tested)}; without training: {without}. "
            "To audit a random split: leave out --train-list and --test-list."
        )
    return split, clips


def _folds_of_size(split: Split) -> int:
    """How many folds test about as many clips each as the split does."""
    sides = split[split.isin((TRAIN, VAL, TEST))]
    return int(np.clip(round(len(sides) / (sides == TEST).sum()), 2, MOST_FOLDS))


def _as_splits(clips: pd.DataFrame, fold_of: pd.Series[int], params: Params) -> list[Split]:
    return [hold_out_fold(clips, fold_of, fold, params.split) for fold in range(int(fold_of.max()) + 1)]


def _right(params: Params, clips: pd.DataFrame, splits: list[Split], inputs: Inputs) -> dict[str, bool]:
    """For each clip that is tested, whether the probe of its fold is right."""
    right: dict[str, bool] = {}
    for split in splits:
        score = fit_and_score(params, clips.assign(split=split), inputs(params.clip), on_epoch=no_op, variants=inputs)
        right |= {clip: action == answer for clip, action, answer, _ in score.answers}
    return right


def _with_interval(name: str, right: np.ndarray, groups: list[str]) -> dict[str, float]:
    low, high = interval_over_groups(right, groups)
    return {name: float(right.mean()), f"{name}_low": low, f"{name}_high": high}


def _in_both(params: Params) -> list[str]:
    """The clips that both lists name."""
    if params.split.protocol != "lists":
        return []
    train, test = (read_split_list(Path(file or "")) for file in (params.split.train_list, params.split.test_list))
    return sorted(set(train) & set(test))
