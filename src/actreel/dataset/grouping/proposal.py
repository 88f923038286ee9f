"""Which clips belong to one group: what is sure or likely is joined, what is doubtful is asked about.

Joined at once: equal ids in the names, files of equal content, the same recording encoded again, recordings of one
device that began in the same second. All else rests on the backgrounds, which are clustered by the average distance
between the clips of two groups; other evidence brings clips nearer or further apart.

A join too many costs data: fewer groups to split. A join too few leaks, and flatters the test. So in doubt, join.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from actreel.dataset.duplicates import same_recordings
from actreel.dataset.grouping.joins import Join, Parts, Sureness
from actreel.dataset.grouping.looks import Look, background_distances
from actreel.dataset.grouping.names import Named, counters_meet, ids_in_names
from actreel.dataset.grouping.recordings import neighbours
from actreel.dataset.watch import clips_by_action
from actreel.errors import DatasetError

SURE_BELOW, LIKELY_BELOW, DOUBTFUL_BELOW = 0.15, 0.3, 0.5
"""Average distances between backgrounds, in terms of the usual one; docs/own-clips.md says what they gave."""

NEARER = 0.6
"""Factor on the distance of clips that a camera recorded one after the other."""
FURTHER = 1.6
"""Factor on the distance of clips whose names or forms differ. These are never joined unasked."""

MOST_AT_ONCE = 0.5
"""The largest share of clips that a second may cover: beyond it, it is when a program wrote the files."""

Answers = Mapping[frozenset[str], bool]
"""For two clips, whether they belong together."""


@dataclass(frozen=True)
class Proposal:
    """What belongs together, as far as can be told without asking.

    Attributes:
        clips: All clips, sorted.
        names: What their names say.
        joins: Sure and likely joins, in the order in which they were made.
        doubtful: Joins to ask about, the likeliest first.
        unreadable: For clips that cannot be decoded, why.
    """

    clips: list[str]
    names: list[Named | None]
    joins: list[Join]
    doubtful: list[Join]
    unreadable: dict[str, str]

    def groups(self, answers: Answers) -> list[str]:
        """The group of each clip, given which doubtful joins are to be made; others are not."""
        row_of = {clip: row for row, clip in enumerate(self.clips)}
        parts = Parts(len(self.clips))
        asked = [join for join in self.doubtful if answers.get(frozenset((join.clip, join.other)), False)]
        for join in [*self.joins, *asked]:
            parts.join(row_of[join.clip], row_of[join.other])
        members = defaultdict(list)
        for row in range(len(self.clips)):
            members[parts.of(row)].append(row)
        named = self._names_of_groups(list(members.values()))
        return [named[parts.of(row)] for row in range(len(self.clips))]

    def _names_of_groups(self, groups: list[list[int]]) -> dict[int, str]:
        """Names for groups: that in their clips' names if there is one, else a number."""
        names: dict[int, str] = {}
        taken: Counter[str] = Counter()
        width = len(str(len(groups)))
        for number, rows in enumerate(groups, 1):
            ids = sorted({named.group for row in rows if (named := self.names[row])})
            name = ids[0] if len(ids) == 1 else f"group-{number:0{width}d}"
            taken[name] += 1
            names[rows[0]] = name if taken[name] == 1 else f"{name} ({taken[name]})"
        return names


def clips_in(folder: Path) -> tuple[Path, list[Path], list[str]]:
    """The clips of a folder that can be grouped.

    Args:
        folder: A folder of class folders, which may be split or wrapped as `actreel.dataset.layout` describes.

    Returns:
        The folder that `groups.csv` belongs in, the clips' paths below it, and their actions.

    Raises:
        DatasetError: The folder cannot be used, or holds a single clip.
    """
    base, clips, actions = clips_by_action(folder, "the folder of clips")
    if len(clips) < 2:
        raise DatasetError(
            f"groups need at least 2 videos in folders of actions. Received: {len(clips)} in '{folder}'. Add videos, "
            "one folder for each action: <action>/<clip>"
        )
    return base, clips, actions


def propose(clips: Sequence[Path], actions: Sequence[str], looks: Sequence[Look | str]) -> Proposal:
    """Proposes groups.

    Args:
        clips: Paths below the folder of actions, sorted.
        actions: Each clip's action.
        looks: Each clip's look, or why it cannot be read.
    """
    paths = [clip.as_posix() for clip in clips]
    names = ids_in_names(clips, actions)
    parts = Parts(len(clips))
    rows = [row for row, look in enumerate(looks) if isinstance(look, Look)]
    seen = [look for look in looks if isinstance(look, Look)]
    joins = [
        Join(paths[row], paths[other], sureness, (evidence,))
        for row, other, sureness, evidence in [*_by_names(names), *_by_files(rows, seen)]
        if parts.join(row, other)
    ]
    doubtful = []
    if len(seen) > 1:
        compared = _Compared(seen, [clips[row] for row in rows], [names[row] for row in rows])
        base = np.array([parts.of(row) for row in rows])
        for first, second, distance in compared.merges(base):
            row, other = rows[first], rows[second]
            join = Join(paths[row], paths[other], _sureness(distance), compared.evidence(first, second, distance))
            if join.sureness is Sureness.DOUBTFUL:
                doubtful.append(join)
            else:
                joins.append(join)
    unreadable = {path: look for path, look in zip(paths, looks, strict=True) if isinstance(look, str)}
    return Proposal(paths, names, joins, doubtful, unreadable)


def _sureness(distance: float) -> Sureness:
    if distance < SURE_BELOW:
        return Sureness.SURE
    return Sureness.LIKELY if distance < LIKELY_BELOW else Sureness.DOUBTFUL


def _by_names(names: Sequence[Named | None]) -> Iterator[tuple[int, int, Sureness, str]]:
    for row, other in _equal([named.group if named else None for named in names]):
        named = names[row]
        if named is not None:
            yield row, other, named.sureness, f"{named.rule}: '{named.group}'"


def _by_files(rows: Sequence[int], looks: Sequence[Look]) -> Iterator[tuple[int, int, Sureness, str]]:
    """Equal content, equal recordings, and recordings that began in the same second."""
    for first, second in _equal([look.sha256 for look in looks]):
        yield rows[first], rows[second], Sureness.SURE, "files of equal content"
    if len(looks) > 1:
        pairs = same_recordings(pd.DataFrame({"fingerprint": [look.fingerprint for look in looks]}))
        for first, second in pairs.tolist():
            yield rows[first], rows[second], Sureness.SURE, "the same recording, encoded again"
    begun = [look.recording.created and (look.recording.created, look.recording.device) for look in looks]
    counts = Counter(begin for begin in begun if begin)
    if counts and max(counts.values()) <= max(2, MOST_AT_ONCE * len(looks)):
        for first, second in _equal(begun):
            created = looks[first].recording.created
            yield (
                rows[first],
                rows[second],
                Sureness.LIKELY,
                f"recorded in the same second, {created:%Y-%m-%d %H:%M:%S}",
            )


def _equal(values: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """The first place of each value with each further place of it; None and empty values count for nothing."""
    firsts: dict[Hashable, int] = {}
    for place, value in enumerate(values):
        if value and firsts.setdefault(value, place) != place:
            yield firsts[value], place


class _Compared:
    """Readable clips, compared by their backgrounds and by what else speaks for or against one group."""

    def __init__(self, looks: Sequence[Look], clips: Sequence[Path], names: Sequence[Named | None]) -> None:
        self._names = [named.group if named else "" for named in names]
        self._forms = [look.recording.form for look in looks]
        self._background = background_distances(looks)
        self._near = self._neighbours(looks, clips)
        self._distance = self._background.copy()
        for one, other in self._near:
            self._distance[[one, other], [other, one]] *= NEARER
        apart = self._differ([name or None for name in self._names]) | self._differ(self._forms)
        self._distance[apart] = np.maximum(self._distance[apart] * FURTHER, LIKELY_BELOW)

    def merges(self, base: NDArray[np.int64]) -> Iterator[tuple[int, int, float]]:
        """Two clips of groups that may be one, the nearest ones of both, and the average distance of the groups.

        Args:
            base: Each clip's group so far; these stay together.
        """
        distance = np.where(base[:, None] == base[None], 0, self._distance)
        size = len(base)
        members: list[NDArray[np.int64]] = [np.array([row]) for row in range(size)]
        for left, right, height, _ in linkage(squareform(distance, checks=False), "average"):
            if height > DOUBTFUL_BELOW:
                return
            one, other = members[int(left)], members[int(right)]
            members.append(np.concatenate([one, other]))
            block = self._distance[np.ix_(one, other)]
            first, second = np.unravel_index(block.argmin(), block.shape)
            if base[one[0]] != base[other[0]] or height > 0:
                yield int(one[first]), int(other[second]), float(height)

    def evidence(self, first: int, second: int, distance: float) -> tuple[str, ...]:
        """What speaks for and against one group of two clips."""
        found = [f"backgrounds are {distance:.2f} of the usual distance apart"]
        if (first, second) in self._near or (second, first) in self._near:
            found.append(self._near.get((first, second)) or self._near[(second, first)])
        if self._names[first] and self._names[second] and self._names[first] != self._names[second]:
            found.append(f"but the names say '{self._names[first]}' and '{self._names[second]}'")
        if self._forms[first] != self._forms[second]:
            found.append("but the files differ in size, frame rate or program")
        return tuple(found)

    @staticmethod
    def _neighbours(looks: Sequence[Look], clips: Sequence[Path]) -> dict[tuple[int, int], str]:
        """Pairs that were recorded one after the other, and how that is known."""
        near = {}
        by_name = sorted(range(len(clips)), key=lambda row: clips[row].stem.lower())
        for one, other in pairwise(by_name):
            if counters_meet(clips[one], clips[other]):
                near[one, other] = f"the camera counted '{clips[one].stem}' and '{clips[other].stem}' in turn"
        timed = [row for row, look in enumerate(looks) if look.recording.created is not None]
        for place, one in enumerate(timed):
            for other in timed[place + 1 :]:
                if neighbours(looks[one].recording, looks[other].recording):
                    near[one, other] = "one device recorded both within half an hour"
        return near

    @staticmethod
    def _differ(values: Sequence[Hashable]) -> NDArray[np.bool_]:
        """Where two values differ, bool (N, N); None differs from nothing."""
        codes = {value: code for code, value in enumerate(dict.fromkeys(value for value in values if value))}
        code_of = np.array([codes.get(value, -1) for value in values])
        known = code_of >= 0
        return np.asarray((code_of[:, None] != code_of[None]) & known[:, None] & known[None], dtype=np.bool_)
