"""Splits clips into train, val and test.

Clips of one group show the same person and background (UCF50's page: "the videos in the same group may share some
common features"). A random split of clips puts similar clips into both train and test, and the accuracy is too high.
Whole groups are therefore held out; `random` exists only for comparison with papers that split at random.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from actreel.base.places import UNKNOWN
from actreel.config import SplitParams
from actreel.config.commands import exp_run
from actreel.dataset.groups import clip_key
from actreel.dataset.layout import SPLITS, TEST, TRAIN, VAL
from actreel.dataset.lists import read_split_list
from actreel.dataset.records import LEFT_OUT, UNREADABLE
from actreel.errors import DatasetError

log = logging.getLogger(__name__)

MIN_GROUPS = len(SPLITS)


def assign_splits(index: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    """Assigns each clip a split, by the protocol in the parameters.

    An action with fewer than three groups cannot be in train, val and test. The model is not trained on it, nor on the
    actions in `split.unknown`: like the clips in the folder `_unknown`, their clips are for the model to reject.

    Args:
        index: Rows with `clip`, `action`, `group`, `error` and, where the dataset came split, `folder_split`.
        params: Protocol, shares, seed and actions to exclude.

    Returns:
        For each row: `train`, `val`, `test`, `left_out` (in neither official list), `unreadable` or `_unknown`.

    Raises:
        DatasetError: Fewer than 2 actions have three groups or more, an action cannot be in all splits, or the fold or
            the official lists do not fit the clips.
    """
    split = pd.Series(UNKNOWN, index=index.index, name="split", dtype="str")
    split[index["error"] != ""] = UNREADABLE
    clips = learnable_clips(index, params.unknown)
    split[clips.index] = _PROTOCOLS[params.protocol](clips, params)
    return split


def learnable_clips(index: pd.DataFrame, unknown: Sequence[str] = ()) -> pd.DataFrame:
    """The readable rows of the actions that have enough groups to train on and test.

    Args:
        index: Rows with `action`, `group` and `error`.
        unknown: Actions to exclude.

    Raises:
        DatasetError: Fewer than 2 actions have enough groups, or an action in `unknown` does not exist.
    """
    if missing := sorted(set(unknown) - set(index["action"])):
        raise DatasetError(
            f"split.unknown must name actions of the dataset. Received: '{missing[0]}'. "
            f"It has {', '.join(sorted(set(index['action']) - {UNKNOWN}))}."
        )
    known = index[~index["action"].isin([UNKNOWN, *unknown]) & (index["error"] == "")]
    groups_of_action = known.groupby("action")["group"].nunique()
    scarce = groups_of_action[groups_of_action < MIN_GROUPS]
    learnable = groups_of_action.drop(scarce.index)
    listed = ", ".join(f"'{action}' in {count}" for action, count in scarce.items())
    if len(learnable) < 2:
        raise DatasetError(
            f"at least 2 actions must have {MIN_GROUPS} groups or more each (for train, val and test). "
            f"Received: {len(learnable)}; too few groups: {listed or 'none'}. Add clips of other people or scenes."
        )
    if listed:
        log.warning(
            f"training on an action needs {MIN_GROUPS} groups or more. Actions with fewer count as no known action: "
            f"{listed}. Add clips of other people or scenes."
        )
    return known[known["action"].isin(learnable.index)]


def assign_folds(clips: pd.DataFrame, folds: int | None, seed: int) -> pd.Series[int]:
    """Assigns each clip the fold in which it is tested; clips of a group share a fold.

    Args:
        clips: Rows from `learnable_clips`.
        folds: Number of folds; None leaves one group out at a time (UCF50's official protocol, 25 folds).
        seed: Seed of the draw.

    Returns:
        int64 (N,), in [0, folds).

    Raises:
        DatasetError: There are fewer groups than folds.
    """
    groups = sorted(clips["group"].unique())
    if folds is None:  # the order of scikit-learn's LeaveOneGroupOut, in one line
        return clips["group"].map({group: fold for fold, group in enumerate(groups)})
    if len(groups) < folds:
        raise DatasetError(
            f"each fold needs at least 1 group. Received: {len(groups)} groups for {folds} folds. Use fewer folds."
        )
    dealt = deal_groups(clips, dict.fromkeys(map(str, range(folds)), 1 / folds), seed)
    return clips["group"].map(dealt).astype(int)


def hold_out_fold(clips: pd.DataFrame, folds: pd.Series[int], fold: int, params: SplitParams) -> pd.Series[str]:
    """Splits clips for one fold: that fold is the test, and `val` is drawn from groups of the other folds.

    Args:
        clips: Rows from `learnable_clips`.
        folds: The fold of each row.
        fold: The fold to hold out.
        params: `val` is the share of the other folds' clips to validate on, `seed` the seed of that draw.

    Returns:
        `train`, `val` or `test` for each row.

    Raises:
        DatasetError: There is no such fold, or an action has no clips outside it.
    """
    last = int(folds.max())
    if not 0 <= fold <= last:
        raise DatasetError(f"split.fold must be between 0 and {last}. Received: {fold}")
    rest = clips[folds != fold]
    split = _deal_validation(rest, params)
    missing = sorted(set(clips["action"]) - set(rest["action"]))
    if missing:
        raise DatasetError(
            f"every action needs a group outside the tested fold. Received: none for {', '.join(missing)} in fold "
            f"{fold}. Use more folds, or add groups."
        )
    if params.leaky:
        split = shuffle_within_actions(rest, split, params.seed)
    return split.reindex(clips.index, fill_value=TEST)


def shuffle_within_actions(clips: pd.DataFrame, values: pd.Series, seed: int) -> pd.Series:
    """Permutes values within each action: turns a split into a random split of the same sizes."""
    rng = np.random.default_rng([seed, 1])
    shuffled = values.copy()
    for _, rows in clips.groupby("action"):
        shuffled[rows.index] = rng.permutation(values[rows.index].to_numpy())
    return shuffled


def deal_groups(
    clips: pd.DataFrame, shares: Mapping[str, float], seed: int, needed: tuple[str, ...] = ()
) -> dict[str, str]:
    """Assigns whole groups to parts and keeps the share of every action in each part close to the wanted one.

    Takes the actions in turn, the one with the fewest groups first, and gives each group to the part that lacks most of
    that action (iterative stratification, Sechidis et al., ECML PKDD 2011, with groups for examples). A group name
    means the same scene in every action, so the whole group goes to one part.

    scikit-learn's `StratifiedGroupKFold` does not fit: its parts have equal shares, and nothing makes every action
    appear in train, val and test.

    Args:
        clips: Rows with `action` and `group`.
        shares: Wanted share of the clips by part; they sum to 1.
        seed: Seed of the order in which groups are taken.
        needed: Parts that must get a group of every action, in order of priority if there are too few groups.

    Returns:
        The part of each group.
    """
    parts = list(shares)
    counts = pd.crosstab(clips["group"], clips["action"])
    table = counts.to_numpy()
    wanted = np.array(list(shares.values()))[:, None] * table.sum(axis=0)  # (parts, actions), in clips
    order = np.random.default_rng(seed).permutation(len(table))
    dealt: dict[int, int] = {}
    for action in np.argsort((table > 0).sum(axis=0), kind="stable"):
        with_action = [group for group in order if table[group, action] > 0]
        waiting = sorted((group for group in with_action if group not in dealt), key=lambda group: -table[group].sum())
        for position, group in enumerate(waiting):
            taken = {parts[dealt[other]] for other in with_action if other in dealt}
            empty = [parts.index(part) for part in needed if part not in taken]
            # The last groups go to the parts where the action is still missing, even if that exceeds their share.
            choices = empty[:1] if empty and len(waiting) - position <= len(empty) else range(len(parts))
            best = max(choices, key=lambda part: (wanted[part, action], wanted[part].sum()))
            dealt[group] = best
            wanted[best] -= table[group]
    return {str(counts.index[group]): parts[part] for group, part in dealt.items()}


def _group_holdout(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    shares = {TRAIN: 1 - params.val - params.test, VAL: params.val, TEST: params.test}
    split = clips["group"].map(deal_groups(clips, shares, params.seed, needed=SPLITS))
    present = split.groupby(clips["action"]).nunique()
    lacking = present[present < len(SPLITS)]
    if len(lacking):
        raise DatasetError(
            f"every action must be in train, val and test. Received: '{lacking.index[0]}' in only {lacking.iloc[0]} of "
            "them, because other actions share its groups. Add groups, or try another split.seed."
        )
    return split


def _by_folders(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    """The split that the dataset came in, where it did; otherwise drawn."""
    if "folder_split" not in clips or not clips["folder_split"].any():
        return _group_holdout(clips, params)
    split = clips["folder_split"].copy()
    if TEST not in set(split):
        log.warning("the dataset has no folder for the test: the one for validation is tested on")
        split = split.replace(VAL, TEST)
    splits_of_group = split.groupby(clips["group"]).unique()
    crossing = splits_of_group[splits_of_group.map(len) > 1]
    if len(crossing):
        raise DatasetError(
            "a group must lie in one of the folders train, val and test, or the test is too easy. Received: "
            f"{len(crossing)} groups in several, first '{crossing.index[0]}' in {' and '.join(crossing.iloc[0])}. "
            "Move its clips into one of the folders, or let Actreel split all clips by groups: "
            f"{exp_run({'split.protocol': 'group_kfold'})}"
        )
    if VAL not in set(split):
        rest = clips[split == TRAIN]
        split[rest.index] = _deal_validation(rest, params)
    return split


def _deal_validation(rest: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    """Draws the groups to validate on, out of clips that are not tested."""
    shares = {TRAIN: 1 - params.val, VAL: params.val}
    return rest["group"].map(deal_groups(rest, shares, params.seed, needed=(TRAIN, VAL)))


def _group_kfold(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    return hold_out_fold(clips, assign_folds(clips, params.folds, params.seed), params.fold, params)


def _logo(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    return hold_out_fold(clips, assign_folds(clips, None, params.seed), params.fold, params)


def _random(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    return shuffle_within_actions(clips, _group_holdout(clips, params), params.seed)


def _lists(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    """Tests on the official test list; trains and validates on the official training list."""
    listed = {
        name: _match(clips, Path(path or ""), f"split.{name}")
        for name, path in (("train_list", params.train_list), ("test_list", params.test_list))
    }
    split = pd.Series(LEFT_OUT, index=clips.index, dtype="str")
    rest = clips[listed["train_list"]]
    split[rest.index] = _deal_validation(rest, params)
    split[listed["test_list"]] = TEST
    if len(unlisted := clips.loc[split == LEFT_OUT, "clip"]):
        log.warning(f"{len(unlisted)} clips are in neither list and are left out (first: '{unlisted.iloc[0]}')")
    return split


def _match(clips: pd.DataFrame, path: Path, key: str) -> pd.Series[bool]:
    names = {clip_key(name) for name in read_split_list(path)}
    clip_keys = clips["clip"].map(clip_key)
    listed = clip_keys.isin(names)
    if not listed.any():
        raise DatasetError(
            f"{key} must name clips of the dataset, such as '{clips['clip'].iloc[0]}'. Received: '{path}', which names "
            "none of them."
        )
    if len(names) > listed.sum():
        first = min(names - set(clip_keys))
        log.warning(f"{len(names) - listed.sum()} clips in '{path}' are not in the dataset (first: '{first}')")
    return listed


_PROTOCOLS = {
    "group_holdout": _by_folders,
    "group_kfold": _group_kfold,
    "logo": _logo,
    "lists": _lists,
    "random": _random,
}
