"""Promotions: when and why a version became champion, as tags of that version in the registry.

Each promotion is a tag of its own, so MLflow's page shows the whole history of a version, and no tag grows. This module
does without MLflow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

PREFIX = "promoted."
"""Tags that begin so are promotions; the time follows, in UTC."""
BY_HAND = "promoted_by_hand"
"""Label of a champion that was promoted by hand: when, and why."""
MAX_REASON = 1000
"""Letters that are kept of a reason; MLflow's servers take no longer tags than 5000."""

How = Literal["rules", "hand", "rollback"]


@dataclass(frozen=True)
class Promotion:
    """One promotion of a version to champion.

    Attributes:
        version: The version that became champion.
        at: When, UTC, ISO 8601.
        how: By the `rules` of `actreel.evaluation.promotion`, by `hand`, or by hand as a `rollback`.
        reason: Why.
        instead_of: The version that was champion before; None if none was.
    """

    version: str
    at: str
    how: How
    reason: str
    instead_of: str | None

    @classmethod
    def now(cls, version: str, how: How, reason: str, instead_of: str | None) -> Promotion:
        """A promotion at this moment."""
        # To the microsecond: the order of promotions is that of their times.
        return cls(version, datetime.now(UTC).isoformat(timespec="microseconds"), how, reason, instead_of)

    @property
    def tag(self) -> tuple[str, str]:
        """The key and the value of its tag."""
        fields = asdict(replace(self, reason=self.reason[:MAX_REASON]))
        del fields["version"]
        # MLflow takes no "+" in a key.
        return PREFIX + fields.pop("at").replace("+00:00", "Z"), json.dumps(fields, ensure_ascii=False)

    @property
    def in_words(self) -> str:
        """How, when and why, as in `by hand on 2026-11-26: the camera was changed`."""
        how = {"rules": "by the rules", "hand": "by hand", "rollback": "by a rollback"}[self.how]
        return f"{how} on {self.at[:10]}: {self.reason}"


def promotions_of(version: str, tags: Mapping[str, str]) -> list[Promotion]:
    """The promotions in the tags of a version, the oldest first; tags that others have changed are passed over."""
    found = []
    for key in sorted(tags):
        if re.fullmatch(re.escape(PREFIX) + r"\d{4}-\d\d-\d\dT[\d:.]+Z", key):
            try:
                fields = json.loads(tags[key])
                promotion = Promotion(
                    version, key.removeprefix(PREFIX).replace("Z", "+00:00"), fields["how"], fields["reason"],
                    fields["instead_of"],
                )  # fmt: skip
            except (ValueError, LookupError, TypeError):
                continue
            found.append(promotion)
    return found


def labels_for(version: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a version without its promotions; if the last of these was by hand, what it was is a label."""
    promotions = promotions_of(version, tags)
    labels = {key: value for key, value in tags.items() if not key.startswith(PREFIX)}
    if promotions and promotions[-1].how != "rules":
        labels[BY_HAND] = promotions[-1].in_words
    return labels


def champions_before(promotions: Iterable[Promotion], champion: str) -> list[str]:
    """The versions that were champion before the present one, the latest last.

    A champion that was rolled back is no longer among them, so that rolling back twice goes two champions back.

    Args:
        promotions: Of all versions, in any order.
        champion: The version that is champion now; the alias may have been moved without a record, on MLflow's page.
    """
    line: list[str] = []
    for promotion in sorted(promotions, key=lambda each: each.at):
        if promotion.instead_of is not None and line[-1:] != [promotion.instead_of]:
            line.append(promotion.instead_of)  # it became champion without a record
        if promotion.how == "rollback" and promotion.version in line:
            del line[line.index(promotion.version) + 1 :]
        elif line[-1:] != [promotion.version]:
            line.append(promotion.version)
    if champion in line and line[-1] != champion:
        return line[: len(line) - 1 - line[::-1].index(champion)]
    return line[:-1] if line[-1:] == [champion] else line
