"""What teaching changes: each action on held-out groups, before and after, and what the rules for a champion say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from actreel.evaluation.intervals import FEW_GROUPS, balanced_interval, interval_over_groups
from actreel.evaluation.metrics import balanced_accuracy
from actreel.evaluation.paired import Paired, compare_pair

NO_ANSWER = ""
"""In the column `before`: the version before was trained on the clip, so its answer would tell nothing."""


@dataclass(frozen=True)
class Share:
    """How many of the held-out clips are right.

    Attributes:
        right: Their share.
        low: Lower bound of its 95 % interval for new groups.
        high: Upper bound.
    """

    right: float
    low: float
    high: float


@dataclass(frozen=True)
class OfAction:
    """One action before and after.

    Attributes:
        action: Its name.
        new: Whether the version before does not know it.
        taught_clips: Clips of it in the lesson.
        taught_groups: Their groups.
        clips: Clips that are held out.
        groups: Their groups.
        before: By the version before; None if it does not know the action, or was trained on these clips.
        after: By the draft; None if no clip could be held out.
    """

    action: str
    new: bool
    taught_clips: int
    taught_groups: int
    clips: int
    groups: int
    before: Share | None
    after: Share | None


@dataclass(frozen=True)
class Effect:
    """What teaching changes on clips of held-out groups.

    Attributes:
        actions: Each action: those of the lesson first.
        others: Both versions on the actions that both know; None if no such clip is held out.
        scores: `accuracy`, `balanced_accuracy` and their bounds, `balanced_chance`, `num_test_clips`,
            `num_test_groups`: of the draft, on all held-out clips.
    """

    actions: tuple[OfAction, ...]
    others: Paired | None
    scores: dict[str, float | int]

    @property
    def unmeasured(self) -> list[str]:
        """Actions of which no clip is held out."""
        return [each.action for each in self.actions if each.after is None]

    @property
    def few_groups(self) -> bool:
        """Whether some interval is wide because there are few groups."""
        return any(each.groups < FEW_GROUPS for each in self.actions)


def measure(held_out: pd.DataFrame, lesson: pd.DataFrame, known: Sequence[str], labels: Sequence[str]) -> Effect:
    """Compares a draft with the version that it comes from.

    Args:
        held_out: One row for each clip whose group the answers do not know: `action`, `group`, `before` and `after`
            (the two answers; `NO_ANSWER` where there is none).
        lesson: The clips that were taught, with `action` and `group`.
        known: Actions of the version before.
        labels: Actions of the draft.
    """
    taught = set(lesson["action"])
    order = [*sorted(taught & set(labels)), *(label for label in labels if label not in taught)]
    comparable = held_out[(held_out["before"] != NO_ANSWER) & held_out["action"].isin(known)]
    others = None
    if len(comparable):
        right = [(comparable[answer] == comparable["action"]).to_numpy() for answer in ("before", "after")]
        others = compare_pair(right[0], right[1], comparable["group"])
    return Effect(tuple(_of(action, held_out, lesson, known) for action in order), others, _scores(held_out))


def _of(action: str, held_out: pd.DataFrame, lesson: pd.DataFrame, known: Sequence[str]) -> OfAction:
    taught = lesson[lesson["action"] == action]
    clips = held_out[held_out["action"] == action]
    new = action not in known
    comparable = clips[clips["before"] != NO_ANSWER]
    if len(comparable) and not new:
        clips = comparable  # the same clips before and after
    before = _share(clips, "before") if len(comparable) and not new else None
    return OfAction(
        action, new, len(taught), taught["group"].nunique(), len(clips), clips["group"].nunique(), before,
        _share(clips, "after"),
    )  # fmt: skip


def _share(clips: pd.DataFrame, answer: str) -> Share | None:
    if clips.empty:
        return None
    right = (clips[answer] == clips["action"]).to_numpy().astype(int)
    return Share(float(right.mean()), *interval_over_groups(right, clips["group"]))


def _scores(held_out: pd.DataFrame) -> dict[str, Any]:
    right = (held_out["after"] == held_out["action"]).to_numpy()
    low, high = interval_over_groups(right.astype(int), held_out["group"])
    fair_low, fair_high = balanced_interval(right, held_out["action"], held_out["group"])
    return {
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": balanced_accuracy(held_out["action"].tolist(), held_out["after"].tolist()),
        "balanced_accuracy_low": fair_low,
        "balanced_accuracy_high": fair_high,
        "balanced_chance": 1 / held_out["action"].nunique(),
        "num_test_clips": len(held_out),
        "num_test_groups": int(held_out["group"].nunique()),
    }
