"""Which clips are trained on, which are held out.

Clips of one group show one person before one background (UCF50's page: "the videos in the same group may share some
common features"). A random split of clips puts such twins on both sides, and the accuracy says little: so groups are
held out as a whole, and `random` is there only to compare with papers that did otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from actreel.config import SplitParams
from actreel.dataset.lists import read_split_list
from actreel.dataset.records import LEFT_OUT, SPLITS, TEST, TRAIN, UNKNOWN, UNREADABLE, VAL, clips_of
from actreel.errors import DatasetError

log = logging.getLogger(__name__)

MIN_GROUPS = len(SPLITS)


def assign_splits(index: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    """Gives each clip its split under the protocol that the parameters name.

    Actions that stand in fewer than three groups cannot be trained on, validated and tested. Like those that
    `split.unknown` names, they are no actions to the model: their clips are for it to reject, as those in the folder
    `_unknown` are.

    Args:
        index: Rows with `clip`, `action`, `group` and `error`.
        params: Protocol, shares, seed and actions to leave out.

    Returns:
        One of `train`, `val`, `test`, `left_out` (in neither official list), `unreadable` or `_unknown` for each row.

    Raises:
        DatasetError: Fewer than 2 actions stand in three groups or more, an action cannot be in all splits, or the
            protocol asks for a fold or a list that does not fit the clips.
    """
    split = pd.Series(UNKNOWN, index=index.index, name="split", dtype="str")
    split[index["error"] != ""] = UNREADABLE
    clips = learnable_clips(index, params.unknown)
    split[clips.index] = _PROTOCOLS[params.protocol](clips, params)
    return split


def learnable_clips(index: pd.DataFrame, unknown: Sequence[str] = ()) -> pd.DataFrame:
    """The readable rows of the actions that stand in enough groups.

    Args:
        index: Rows with `action`, `group` and `error`.
        unknown: Actions to leave out.

    Raises:
        DatasetError: Fewer than 2 actions do, or an action to leave out is not there.
    """
    if strangers := sorted(set(unknown) - set(index["action"])):
        raise DatasetError(
            f"split.unknown must name actions of the dataset. Received: '{strangers[0]}'. "
            f"It has {', '.join(sorted(set(index['action']) - {UNKNOWN}))}."
        )
    known = index[~index["action"].isin([UNKNOWN, *unknown]) & (index["error"] == "")]
    groups_of_action = known.groupby("action")["group"].nunique()
    scarce = groups_of_action[groups_of_action < MIN_GROUPS]
    learnable = groups_of_action.drop(scarce.index)
    listed = ", ".join(f"'{action}' in {count}" for action, count in scarce.items())
    if len(learnable) < 2:
        raise DatasetError(
            f"at least 2 actions must each stand in {MIN_GROUPS} groups or more (train, val, test). "
            f"Received: {len(learnable)}; too few groups: {listed or 'none'}. Add clips of other people or scenes."
        )
    if listed:
        log.warning(
            f"an action must stand in {MIN_GROUPS} groups or more to be trained on and tested. Not learned, but taken "
            f"for clips of no known action: {listed}."
        )
    return known[known["action"].isin(learnable.index)]


def split_unknown(index: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divides the clips that show none of the actions: some set the rejection limit, the others evaluate it.

    Clips of test groups evaluate it, clips of other groups with known actions set it, and of groups that have only
    unknown clips, every second one evaluates it. If that leaves nothing on one side, every second action evaluates it,
    or every second group if there is only one action.

    Args:
        index: Rows with `clip`, `action`, `group` and `split`.

    Returns:
        The rows that set the limit, and the rows that evaluate it, each numbered from 0.
    """
    unknown = clips_of(index, UNKNOWN)
    learned = index[index["split"] != UNKNOWN]
    only_unknown = sorted(set(unknown["group"]) - set(learned["group"]))
    held_out = set(learned.loc[learned["split"] == TEST, "group"]) | set(only_unknown[::2])
    evaluates = unknown["group"].isin(held_out)
    if evaluates.all() or not evaluates.any():
        kind = "action" if unknown["action"].nunique() > 1 else "group"
        evaluates = unknown[kind].isin(sorted(set(unknown[kind]))[1::2])
    return unknown[~evaluates].reset_index(drop=True), unknown[evaluates].reset_index(drop=True)


def assign_folds(clips: pd.DataFrame, folds: int | None, seed: int) -> pd.Series[int]:
    """Gives each clip the fold in which it is tested: clips of one group share a fold.

    Args:
        clips: Learnable rows.
        folds: How many; None leaves one group out at a time (UCF50's official protocol, 25 folds).
        seed: Of the draw.

    Returns:
        int in [0, folds) for each row.

    Raises:
        DatasetError: There are fewer groups than folds.
    """
    groups = sorted(clips["group"].unique())
    if folds is None:
        return clips["group"].map({group: fold for fold, group in enumerate(groups)})
    if len(groups) < folds:
        raise DatasetError(f"there must be a group for each fold. Received: {len(groups)} groups for {folds} folds.")
    dealt = deal_groups(clips, dict.fromkeys(map(str, range(folds)), 1 / folds), seed)
    return clips["group"].map(dealt).astype(int)


def hold_out_fold(clips: pd.DataFrame, folds: pd.Series[int], fold: int, params: SplitParams) -> pd.Series[str]:
    """Tests one fold, and validates on groups of the others.

    Args:
        clips: Learnable rows.
        folds: Each row's fold.
        fold: The one to hold out.
        params: `val` is the share of all clips that is taken from the other folds; `seed` of that draw.

    Returns:
        `train`, `val` or `test` for each row.

    Raises:
        DatasetError: There is no such fold, or an action is left with nothing to train on.
    """
    last = int(folds.max())
    if not 0 <= fold <= last:
        raise DatasetError(f"split.fold must be between 0 and {last}. Received: {fold}")
    rest = clips[folds != fold]
    shares = {TRAIN: 1 - params.val, VAL: params.val}
    split = rest["group"].map(deal_groups(rest, shares, params.seed, needed=(TRAIN, VAL)))
    missing = sorted(set(clips["action"]) - set(rest["action"]))
    if missing:
        raise DatasetError(
            f"every action must have a group outside the fold that is tested. Received: none for {', '.join(missing)} "
            f"in fold {fold}. Use fewer folds, or add groups."
        )
    if params.leaky:
        split = shuffle_within_actions(rest, split, params.seed)
    return split.reindex(clips.index, fill_value=TEST)


def shuffle_within_actions(clips: pd.DataFrame, values: pd.Series, seed: int) -> pd.Series:
    """The same values dealt to other clips of the same action: what a random split of the same sizes would be."""
    rng = np.random.default_rng([seed, 1])
    shuffled = values.copy()
    for _, rows in clips.groupby("action"):
        shuffled[rows.index] = rng.permutation(values[rows.index].to_numpy())
    return shuffled


def deal_groups(
    clips: pd.DataFrame, shares: Mapping[str, float], seed: int, needed: tuple[str, ...] = ()
) -> dict[str, str]:
    """Deals whole groups out to parts, so that each part has its share of every action.

    Goes action by action, the one in fewest groups first, and gives each group to the part that is furthest from its
    share of that action (iterative stratification, Sechidis et al., ECML PKDD 2011, with groups for examples). A
    group's name means the same scene in every action, so it goes to one part as a whole.

    Args:
        clips: Rows with `action` and `group`.
        shares: Share of the clips of each part; they sum to 1.
        seed: Of the order in which groups are taken.
        needed: Parts that must get a group of every action while there are any, the first of them before the others.

    Returns:
        Each group's part.
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
        for place, group in enumerate(waiting):
            taken = {parts[dealt[other]] for other in with_action if other in dealt}
            empty = [parts.index(part) for part in needed if part not in taken]
            # The last groups go where the action is still missing, whatever the shares say.
            choices = empty[:1] if empty and len(waiting) - place <= len(empty) else range(len(parts))
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
            f"every action must be in train, val and test. Received: '{lacking.index[0]}' in {lacking.iloc[0]} of "
            "them, because its groups are shared with other actions. Add groups, or try another split.seed."
        )
    return split


def _group_kfold(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    return hold_out_fold(clips, assign_folds(clips, params.folds, params.seed), params.fold, params)


def _logo(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    return hold_out_fold(clips, assign_folds(clips, None, params.seed), params.fold, params)


def _random(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    return shuffle_within_actions(clips, _group_holdout(clips, params), params.seed)


def _lists(clips: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    """Official lists: what the test list names is tested, what the train list names is trained and validated on."""
    listed = {
        name: _match(clips, Path(path or ""), f"split.{name}")
        for name, path in (("train_list", params.train_list), ("test_list", params.test_list))
    }
    split = pd.Series(LEFT_OUT, index=clips.index, dtype="str")
    rest = clips[listed["train_list"]]
    shares = {TRAIN: 1 - params.val, VAL: params.val}
    split[rest.index] = rest["group"].map(deal_groups(rest, shares, params.seed, needed=(TRAIN, VAL)))
    split[listed["test_list"]] = TEST
    if len(unlisted := clips.loc[split == LEFT_OUT, "clip"]):
        log.warning(f"{len(unlisted)} clips are in neither list and left out (first: '{unlisted.iloc[0]}')")
    return split


def _match(clips: pd.DataFrame, path: Path, key: str) -> pd.Series[bool]:
    names = set(read_split_list(path))
    listed = clips["clip"].isin(names)
    if not listed.any():
        raise DatasetError(
            f"{key} must name clips of the dataset. Received: '{path}', which names none; the dataset's first is "
            f"'{clips['clip'].iloc[0]}'."
        )
    if len(names) > listed.sum():
        first = min(names - set(clips["clip"]))
        log.warning(f"{len(names) - listed.sum()} clips of '{path}' are not among the dataset's (first: '{first}')")
    return listed


_PROTOCOLS = {
    "group_holdout": _group_holdout,
    "group_kfold": _group_kfold,
    "logo": _logo,
    "lists": _lists,
    "random": _random,
}
