"""Labels that differ in left and right: what a mirrored clip of such an action shows, found by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SIDE = re.compile("left|right", re.IGNORECASE)

# A word of its own: `Turn Left`, `wave_left`, `left-hand-wave`, `TurnLeft`, `LEFT2`; not `cleft`, `Leftover`.
_SIDE_WORD = re.compile(r"(?:(?<![A-Za-z])(?:left|Left|LEFT|right|Right|RIGHT)|(?<=[a-z])(?:Left|Right))(?![a-z])")

_OTHER = {"left": "right", "right": "left"}


def mirrored_labels(labels: Sequence[str]) -> dict[str, str | None]:
    """The labels that name a side, and the label that a mirrored clip of each shows.

    Args:
        labels: All actions.

    Returns:
        For each label that names a side, the same label with the other side; None if there is no such action. Left and
        right inside a word count only if the other label exists: `kickleft` beside `kickright`.
    """
    found: dict[str, str | None] = {}
    for label in labels:
        other = _SIDE.sub(_swap, label)
        if other != label and other in labels:
            found[label] = other
        elif _SIDE_WORD.search(label):
            found[label] = None
    return found


def _swap(side: re.Match[str]) -> str:
    word = side[0]
    other = _OTHER[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
