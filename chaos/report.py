"""What came of each fault, kept in a file so that an interrupted run continues."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Outcome:
    """What came of one fault. All counts should be 0.

    Attributes:
        name: Where, and which fault.
        note: What the program said, or that it completed.
        lost_answers: Requests without an answer.
        lost_files: Files that are missing, half-written or other than without the fault, once it is over.
        tracebacks: Tracebacks printed.
        hangs: Programs or requests that did not end.
        unexplained: Failures without a message.
    """

    name: str
    note: str
    lost_answers: int = 0
    lost_files: int = 0
    tracebacks: int = 0
    hangs: int = 0
    unexplained: int = 0

    @property
    def counts(self) -> dict[str, int]:
        return {key: value for key, value in asdict(self).items() if isinstance(value, int)}

    @property
    def good(self) -> bool:
        return not any(self.counts.values())


class Ledger:
    """The outcomes so far."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self.outcomes = {outcome.name: outcome for outcome in (Outcome(**json.loads(line)) for line in lines)}

    def add(self, outcome: Outcome) -> None:
        self.outcomes[outcome.name] = outcome
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")

    def summary(self) -> str:
        total: Counter[str] = Counter()
        for outcome in self.outcomes.values():
            total.update(outcome.counts)
        counts = ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in total.items())
        return f"{len(self.outcomes)} faults: {counts}"
