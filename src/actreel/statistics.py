"""What the service was asked, as a few numbers a video: no video, no name, no link, no address.

One JSON object a line, in one file a day, so that `actreel drift` can compare it with what the model learned from.
Every number has two digits, and the time is that of the hour: a line does not tell which video it is about.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from actreel.base.faults import log_error, reading
from actreel.base.places import below_home

log = logging.getLogger(__name__)

_FILE = re.compile(r"\d{4}-\d\d-\d\d\.jsonl")
_TIDY_EVERY = 100
"""Lines of this process after which old files are looked for again."""


def coarse(value: float) -> float:
    """A number with two digits: 1920 is 1900, and 29.97 is 30. What is compared must have been made coarse alike."""
    return float(f"{value:.2g}")


@dataclass(frozen=True)
class Asked:
    """One video that the service answered.

    Attributes:
        hour: UTC, as 2026-11-27T06Z.
        duration_s: Seconds.
        fps: Frames per second.
        width: Pixels.
        height: Pixels.
        num_frames: Frames that decode.
        brightness: Mean of the frames that the model saw, in [0, 1].
        label: The most likely of the model's actions.
        confidence: Its probability, also if the model knows no such action.
        known: Whether the video shows any of the model's actions, as far as the model can tell.
        distance: From the training clips, the median of the windows; 0 if the model does not measure it.
        margin: The confidence minus that in the second best action.
        model: The model's name and version, as NAME@VERSION.
        run_id: The MLflow run that trained it.
    """

    hour: str
    duration_s: float
    fps: float
    width: float
    height: float
    num_frames: float
    brightness: float
    label: str
    confidence: float
    known: bool
    distance: float
    margin: float
    model: str
    run_id: str

    @property
    def line(self) -> str:
        """The JSON of this video, every number made coarse."""
        values = {name: coarse(value) if type(value) in (int, float) else value for name, value in asdict(self).items()}
        return json.dumps(values, ensure_ascii=False)


_KINDS: Mapping[str, type] = {
    each.name: {"str": str, "bool": bool}.get(str(each.type), float) for each in fields(Asked)
}


def hour_of(moment: datetime) -> str:
    """The hour of a moment, as `Asked.hour`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%HZ")


def default_statistics_folder() -> Path:
    """Where statistics are kept: `ACTREEL_STATISTICS_DIR`, or a folder in the user's data directory."""
    if chosen := os.environ.get("ACTREEL_STATISTICS_DIR"):
        return Path(below_home(chosen))
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "actreel" / "statistics"


class StatisticsLog:
    """Appends to the statistics; safe from several processes and threads.

    Args:
        folder: Where the files are; it is made with the first line.
        days: Files of earlier days are deleted.
        max_bytes: Of all files together: the oldest are deleted, and when today's alone is as large, nothing is added.
    """

    def __init__(self, folder: Path, days: int, max_bytes: int) -> None:
        self._folder = folder
        self._days = days
        self._max_bytes = max_bytes
        self._tidied: str | None = None
        self._lines = 0
        self._failed = False

    def add(self, asked: Asked) -> None:
        """Adds a line. It never raises: the first failure is logged, and later ones are not."""
        try:
            self._add(asked)
        except Exception as error:
            if not self._failed:
                self._failed = True
                log_error(log, "A line of statistics could not be written; answers are not affected.", error)

    def _add(self, asked: Asked) -> None:
        day = asked.hour[:10]
        today = f"{day}.jsonl"
        if self._tidied != today or self._lines % _TIDY_EVERY == 0:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._tidied = today
            self._tidy(date.fromisoformat(day))
        self._lines += 1
        # One write to a file opened for appending: lines of several workers do not mix.
        file = os.open(self._folder / today, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size < self._max_bytes:
                os.write(file, asked.line.encode() + b"\n")
        finally:
            os.close(file)

    def _tidy(self, today: date) -> None:
        last_gone = f"{today - timedelta(days=self._days)}.jsonl"
        total = 0
        for file in sorted(statistics_files(self._folder), reverse=True):
            with suppress(FileNotFoundError):  # another worker has just deleted it
                total += file.stat().st_size
                if file.name <= last_gone or (total > self._max_bytes and file.name != self._tidied):
                    file.unlink()


def statistics_files(folder: Path) -> list[Path]:
    """The files of a folder of statistics, one a day, the oldest first; none if there is no such folder."""
    return sorted(file for file in folder.glob("*.jsonl") if _FILE.fullmatch(file.name))


def read_statistics(folder: Path, since: datetime) -> tuple[list[Asked], int]:
    """Reads what was asked.

    Args:
        folder: The folder of the statistics.
        since: The first hour.

    Returns:
        What was asked, the oldest first, and how many lines are damaged: a full disk cuts them off.

    Raises:
        FileError: A file cannot be read.
    """
    start = hour_of(since)
    found, damaged = [], 0
    for file in statistics_files(folder):
        if file.stem < start[:10]:
            continue
        with reading(file, f"Delete it: rm '{file}'"):
            lines = file.read_bytes().splitlines()
        for line in lines:
            asked = _parse(line)
            if asked is None:
                damaged += 1
            elif asked.hour >= start:
                found.append(asked)
    return sorted(found, key=lambda each: each.hour), damaged


def _parse(line: bytes) -> Asked | None:
    try:
        values: dict[str, Any] = json.loads(line)
        # Fields that a later version adds are passed over.
        given = {name: values[name] for name in _KINDS}
    except (ValueError, LookupError, TypeError):
        return None
    return Asked(**given) if all(isinstance(given[name], kind) for name, kind in _KINDS.items()) else None
