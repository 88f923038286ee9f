"""What leaks from the training clips of a split into its test: groups on both sides, and twins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from actreel.dataset.copies import join_copies, join_recordings
from actreel.dataset.duplicates import same_recordings
from actreel.dataset.grouping.looks import look_at
from actreel.dataset.grouping.proposal import clips_in, propose
from actreel.dataset.layout import TEST, TRAIN, VAL

SAME_CONTENT = "equal content"
SAME_RECORDING = "the same recording, encoded again"


@dataclass(frozen=True)
class Twin:
    """A test clip that is, nearly or fully, a clip of the training.

    Attributes:
        test_clip: Its path.
        training_clip: The other's path.
        kind: `SAME_CONTENT` or `SAME_RECORDING`.
    """

    test_clip: str
    training_clip: str
    kind: str


@dataclass(frozen=True)
class Leaks:
    """What leaks in a split, over all its folds.

    Attributes:
        test_clips: Clips that are tested.
        with_group_in_training: Those of them whose group also has clips in the training.
        shared_groups: The groups of those clips.
        twins: Test clips with a twin in the training; each pair once.
    """

    test_clips: int
    with_group_in_training: int
    shared_groups: list[str]
    twins: list[Twin]


def with_guessed_groups(index: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, int]:
    """Gives clips whose group is unknown the group that `actreel groups` proposes without asking.

    Args:
        index: Rows with `clip` and `group`; the group of a clip whose group is unknown is the clip's path.
        folder: The user's folder, whose clips these are.

    Returns:
        The index, and the number of clips whose group is guessed.
    """
    unknown = index["group"] == index["clip"]
    if not unknown.any():
        return index, 0
    base, clips, actions = clips_in(folder)
    proposal = propose(clips, actions, look_at(base, clips))
    proposed = pd.Series(proposal.groups({}), index=proposal.clips)[index["clip"]].to_numpy()
    # Where clips of a known group are among them, it is that group.
    known = pd.Series(index.loc[~unknown, "group"].to_numpy(), index=proposed[~unknown])
    known = known[~known.index.duplicated()]
    guessed = [known.get(group, f"guessed: {group}") for group in proposed[unknown]]
    group = index["group"].copy()
    group[unknown] = guessed
    return index.assign(group=group), int(unknown.sum())


def with_joined_twins(index: pd.DataFrame) -> pd.DataFrame:
    """The index with all rows, and one group for the groups that contain the same video or recording."""
    return join_recordings(join_copies(index, drop=False))


def find_leaks(clips: pd.DataFrame, folds: Sequence[pd.Series[str]]) -> Leaks:
    """Compares the two sides of each fold; validation clips count as training.

    Args:
        clips: Rows with `clip`, `group`, `sha256`, `fingerprint`, all readable.
        folds: The split of each row, for each fold.
    """
    pairs = list(_twins(clips))
    names, groups = clips["clip"].to_numpy(), clips["group"]
    leaking = np.zeros(len(clips), dtype=bool)
    twins: dict[frozenset[int], Twin] = {}
    tested = 0
    for fold in folds:
        in_test, in_training = (fold == TEST).to_numpy(), fold.isin((TRAIN, VAL)).to_numpy()
        tested += int(in_test.sum())
        leaking |= in_test & groups.isin(groups[in_training]).to_numpy()
        for one, other, kind in pairs:
            for test, training in ((one, other), (other, one)):
                if in_test[test] and in_training[training]:
                    twins.setdefault(frozenset((test, training)), Twin(names[test], names[training], kind))
    return Leaks(
        test_clips=tested,
        with_group_in_training=int(leaking.sum()),
        shared_groups=sorted(groups[leaking].unique()),
        twins=list(twins.values()),
    )


def _twins(clips: pd.DataFrame) -> Iterator[tuple[int, int, str]]:
    """Positions of two rows with equal content, or of the same recording."""
    contents = clips["sha256"].to_numpy()
    for rows in pd.Series(range(len(clips))).groupby(contents):
        yield from ((one, other, SAME_CONTENT) for one, other in combinations(rows[1].tolist(), 2))
    for one, other in same_recordings(clips).tolist():
        if contents[one] != contents[other]:
            yield one, other, SAME_RECORDING
