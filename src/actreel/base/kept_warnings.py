"""Warnings that outlive the run that gave them: DVC skips a stage that is up to date, and its warnings with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from actreel.base.console import OURS
from actreel.base.faults import reading

REPAIRED = {"repaired": True}
"""The `extra` of a warning about what is repaired at once or soon over; it is not kept."""


@dataclass(frozen=True)
class KeptWarning:
    """A warning of a stage.

    Attributes:
        stage: The stage's name.
        text: The message as it was logged, without its level.
    """

    stage: str
    text: str


@contextmanager
def keeping_warnings(stage: str, file: Path, earlier: Path | None = None) -> Iterator[None]:
    """Writes what our own code warns of to a file, which should be an output of the stage.

    Args:
        stage: The name of the stage.
        file: The file to write. It is not written if the stage fails.
        earlier: The file of a stage before, whose warnings come first; None: there is none.
    """
    kept = kept_warnings(earlier) if earlier else []
    collector = _Collector()
    logging.getLogger().addHandler(collector)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(collector)
    kept += [KeptWarning(stage, text) for text in collector.texts]
    file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps([asdict(warning) for warning in kept], indent=2, ensure_ascii=True)
    file.write_text(content + "\n", encoding="utf-8")


def kept_warnings(*files: Path) -> list[KeptWarning]:
    """Reads what `keeping_warnings` wrote, one file after the other.

    Raises:
        FileError: A file is missing or damaged.
    """
    kept: list[KeptWarning] = []
    for file in files:
        with reading(file, "Run: dvc repro"):
            kept += [KeptWarning(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    return kept


class _Collector(logging.Handler):
    """The messages of our own loggers, from WARNING on, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        ours = record.name.split(".")[0] in OURS
        if ours and text not in self.texts and not hasattr(record, "repaired"):
            self.texts.append(text)
