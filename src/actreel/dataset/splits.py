"""Which groups are trained on, which are held out.

Clips of one group show one person before one background (UCF50's page: "the videos in the same group may share some
common features"). A random split of clips puts such twins on both sides, and the accuracy says little.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from actreel.config import SplitParams
from actreel.dataset.records import LEFT_OUT, SPLITS, UNKNOWN
from actreel.errors import DatasetError

log = logging.getLogger(__name__)


def assign_splits(index: pd.DataFrame, params: SplitParams) -> pd.Series[str]:
    """Gives each clip its split, so that no group stands in two and each action stands in all.

    Groups are dealt out action by action, the one in fewest groups first, each group to the split that is furthest
    from its share of that action (iterative stratification, Sechidis et al., ECML PKDD 2011, with whole groups in
    place of examples). A group's name means the same scene in every action, so it goes to one split as a whole.

    Actions that stand in fewer than three groups cannot be trained on, validated and tested: they are left out with
    a warning.

    Args:
        index: Rows with `action` and `group`.
        params: Shares and seed.

    Returns:
        One of `train`, `val`, `test`, `left_out` or `_unknown` for each row.

    Raises:
        DatasetError: Fewer than 2 actions stand in three groups or more, or an action cannot be in all splits.
    """
    split = pd.Series(LEFT_OUT, index=index.index, name="split", dtype="str")
    split[index["action"] == UNKNOWN] = UNKNOWN
    known = index[index["action"] != UNKNOWN]
    groups_of_action = known.groupby("action")["group"].nunique()
    scarce = groups_of_action[groups_of_action < len(SPLITS)]
    learnable = groups_of_action.drop(scarce.index)
    listed = ", ".join(f"'{action}' in {count}" for action, count in scarce.items())
    if len(learnable) < 2:
        raise DatasetError(
            f"at least 2 actions must each stand in {len(SPLITS)} groups or more (train, val, test). "
            f"Received: {len(learnable)}; too few groups: {listed}. Add clips of other people or scenes."
        )
    if listed:
        log.warning(
            f"an action must stand in {len(SPLITS)} groups or more to be trained on and tested. Left out: {listed}."
        )
    known = known[known["action"].isin(learnable.index)]
    split_of_group = _deal_out(known, params)
    split[known.index] = known["group"].map(split_of_group)
    return split


def _deal_out(clips: pd.DataFrame, params: SplitParams) -> dict[str, str]:
    counts = pd.crosstab(clips["group"], clips["action"])
    shares = np.array([1 - params.val - params.test, params.val, params.test])
    wanted = shares[:, None] * counts.sum().to_numpy()[None, :]  # (3 splits, actions), in clips
    order = np.random.default_rng(params.seed).permutation(len(counts))
    table = counts.to_numpy()
    dealt: dict[int, int] = {}
    for action in np.argsort((table > 0).sum(axis=0), kind="stable"):
        with_action = [group for group in order if table[group, action] > 0]
        waiting = [group for group in with_action if group not in dealt]
        waiting.sort(key=lambda group: -table[group].sum())
        for place, group in enumerate(waiting):
            taken = {dealt[other] for other in with_action if other in dealt}
            empty = [split for split in range(len(SPLITS)) if split not in taken]
            # The last groups go where the action is still missing, whatever the shares say.
            choices = empty if len(waiting) - place <= len(empty) else list(range(len(SPLITS)))
            best = max(choices, key=lambda s: (wanted[s, action], wanted[s].sum()))
            dealt[group] = best
            wanted[best] -= table[group]
        missing = set(range(len(SPLITS))) - {dealt[group] for group in with_action}
        if missing:
            raise DatasetError(
                f"every action must be in train, val and test. Received: '{counts.columns[action]}' with no group left "
                f"for {', '.join(SPLITS[split] for split in sorted(missing))}. Add groups, or try another split.seed."
            )
    return {str(counts.index[group]): SPLITS[split] for group, split in dealt.items()}
