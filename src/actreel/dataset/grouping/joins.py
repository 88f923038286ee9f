"""Joins: two clips that belong to one group, how sure that is, and from which evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sureness(StrEnum):
    """How sure a join is. Doubtful ones are asked about, the others are made."""

    SURE = "sure"
    LIKELY = "likely"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True)
class Join:
    """Two clips that may belong to one group, and with them the groups that they are in.

    Attributes:
        clip: The first clip's path.
        other: The second clip's path.
        sureness: How sure it is.
        evidence: From what, in words.
    """

    clip: str
    other: str
    sureness: Sureness
    evidence: tuple[str, ...]


class Parts:
    """Clips in groups that grow together (a disjoint-set forest)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def of(self, row: int) -> int:
        """The group of a clip, as the row of one of its clips."""
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def join(self, row: int, other: int) -> bool:
        """Makes the groups of two clips one; returns whether they were two."""
        first, second = sorted((self.of(row), self.of(other)))
        self._parent[second] = first
        return first != second
