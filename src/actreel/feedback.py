"""Visitors' feedback on predictions: one SQLite file, and the videos that they agreed to share.

`actreel.labelling.visitors` turns it into a folder of clips that the pipeline trains on like any other.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.base.faults import naming
from actreel.base.marks import Mark
from actreel.base.places import UNKNOWN, below_home

DATABASE = "feedback.sqlite"
VIDEOS = "videos"
CLIP_PREFIX = "feedback_"
"""How the names of exported clips begin."""

# Containers by their first bytes; the pipeline finds clips by their suffix.
_SIGNATURES = ((0, b"RIFF", ".avi"), (4, b"ftyp", ".mp4"), (0, b"\x1a\x45\xdf\xa3", ".mkv"))

LONGEST_LABEL = 200
# What a folder's name cannot hold or would hide; `/` becomes `%2F`, as in an address.
_NOT_IN_A_NAME = re.compile(r"[/\0]|^\.")
_LONGEST_NAME = 255
_CUT = re.compile(r"_\d{6,}_\d{6,}$")


@dataclass(frozen=True)
class Feedback:
    """One visitor's feedback on one prediction.

    Attributes:
        prediction_id: The prediction's id, as the service answered it.
        predicted: The label that the model predicted; `_unknown` if it said that it knows no such action.
        confidence: Its probability.
        model: Tag of the Bento that answered.
        correct: Whether the visitor says that the prediction is correct.
        label: The correct label; None if the prediction is correct, or the action is none of the model's.
        marks: What the video shows when, if the visitor corrected its timeline; in order of time.
    """

    prediction_id: str
    predicted: str
    confidence: float
    model: str
    correct: bool
    label: str | None
    marks: tuple[Mark, ...] = ()

    @classmethod
    def of_marks(
        cls, prediction_id: str, predicted: str, confidence: float, model: str, marks: Iterable[Mark]
    ) -> Feedback:
        """Feedback on a timeline: of the whole video, the truth is then what is seen for longest.

        Args:
            prediction_id: As the attribute.
            predicted: As the attribute.
            confidence: As the attribute.
            model: As the attribute.
            marks: At least one.
        """
        marks = tuple(sorted(marks, key=lambda mark: mark.start_s))
        seconds: dict[str, float] = defaultdict(float)
        for mark in marks:
            seconds[mark.label] += mark.end_s - mark.start_s
        longest = max(seconds, key=lambda label: seconds[label])
        correct = longest == predicted
        label = None if correct or longest == UNKNOWN else longest
        return cls(prediction_id, predicted, confidence, model, correct, label, marks)

    @property
    def truth(self) -> str:
        """The action in the video; `_unknown` if it is none of the model's."""
        return self.predicted if self.correct else self.label or UNKNOWN


def default_folder() -> Path:
    """Where feedback is kept: `ACTREEL_FEEDBACK_DIR`, or a folder in the user's data directory."""
    if chosen := os.environ.get("ACTREEL_FEEDBACK_DIR"):
        return Path(below_home(chosen))
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "actreel" / "feedback"


def is_label(text: str) -> bool:
    """Whether a visitor's text can name an action: 1 to `LONGEST_LABEL` printable letters, no space at its ends."""
    return 0 < len(text) <= LONGEST_LABEL and text.isprintable() and text.strip() == text


def folder_of(label: str) -> str:
    """The name of an action's folder in an export: its label, with what no name can hold as `%` and its number."""
    name = _NOT_IN_A_NAME.sub(lambda found: f"%{ord(found[0]):02X}", label)
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(label.encode()).hexdigest()[:8]
    return f"{name.encode()[: _LONGEST_NAME - 9].decode(errors='ignore')}-{digest}"


def clip_of(name: str, mark: Mark) -> str:
    """The file name of a marked clip: what it was cut from, and when in it, in milliseconds.

    `actreel groups` reads in such a name which clips come from one video.
    """
    ending = "".join(f"_{round(seconds * 1000):06d}" for seconds in (mark.start_s, mark.end_s)) + ".mp4"
    return f"{name}{ending}"


class FeedbackStore:
    """The feedback folder; safe to write from several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._database() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS feedback (prediction_id TEXT PRIMARY KEY, given_at TEXT NOT NULL, "
                "predicted TEXT NOT NULL, confidence REAL NOT NULL, model TEXT NOT NULL, correct INTEGER NOT NULL, "
                "label TEXT, video TEXT)"
            )
            database.execute(
                "CREATE TABLE IF NOT EXISTS marks (prediction_id TEXT NOT NULL, start_s REAL NOT NULL, "
                "end_s REAL NOT NULL, label TEXT NOT NULL)"
            )

    def add(self, feedback: Feedback, video: Path | None = None) -> None:
        """Stores feedback; it replaces earlier feedback on the same prediction.

        Args:
            feedback: The feedback.
            video: The video, only if the visitor agreed to share it; it is copied.
        """
        name = None
        if video is not None:
            videos = self._folder / VIDEOS
            videos.mkdir(mode=0o700, exist_ok=True)
            name = feedback.prediction_id + _suffix(video)
            with written_aside(videos / name) as aside:
                shutil.copyfile(video, aside)
        with self._database() as database:
            database.execute(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (prediction_id) DO UPDATE SET "
                "given_at = excluded.given_at, correct = excluded.correct, label = excluded.label, "
                "video = coalesce(excluded.video, video)",
                (
                    feedback.prediction_id, datetime.now(UTC).isoformat(timespec="seconds"), feedback.predicted,
                    feedback.confidence, feedback.model, feedback.correct, feedback.label, name,
                ),
            )  # fmt: skip
            database.execute("DELETE FROM marks WHERE prediction_id = ?", (feedback.prediction_id,))
            database.executemany(
                "INSERT INTO marks VALUES (?, ?, ?, ?)",
                [(feedback.prediction_id, mark.start_s, mark.end_s, mark.label) for mark in feedback.marks],
            )

    def all(self) -> list[tuple[Feedback, Path | None]]:
        """All feedback in the order given, with its video if there is one."""
        with self._database() as database:
            rows = database.execute(
                "SELECT prediction_id, predicted, confidence, model, correct, label, video FROM feedback "
                "ORDER BY given_at, prediction_id"
            ).fetchall()
            marks: dict[str, list[Mark]] = defaultdict(list)
            for name, *mark in database.execute("SELECT * FROM marks ORDER BY start_s"):
                marks[name].append(Mark(*mark))
        return [
            (
                Feedback(name, predicted, confidence, model, bool(correct), label, tuple(marks[name])),
                self._folder / VIDEOS / video if video else None,
            )
            for name, predicted, confidence, model, correct, label, video in rows
        ]

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self._folder / DATABASE
        with naming(path), closing(sqlite3.connect(path, timeout=10)) as database, database:
            yield database


@dataclass(frozen=True)
class Waiting:
    """Feedback that the model has not learned from.

    Attributes:
        given: All feedback.
        wrong: Of it, where the visitor says that the prediction is wrong.
        videos: Shared videos that the dataset does not contain.
    """

    given: int
    wrong: int
    videos: int


def exported_ids(clips: Iterable[str]) -> set[str]:
    """The predictions whose videos are among clips, whole or cut.

    Args:
        clips: Their file names.
    """
    names = (Path(clip).stem for clip in clips if clip.startswith(CLIP_PREFIX))
    return {_CUT.sub("", name).removeprefix(CLIP_PREFIX) for name in names}


def count_waiting(folder: Path, dataset: Path | None) -> Waiting:
    """Counts feedback, and the shared videos that are not in a dataset.

    Args:
        folder: The feedback folder; it need not exist.
        dataset: A folder of clips, to which an export may have added; None if the model learns from another source.
    """
    if not (folder / DATABASE).is_file():
        return Waiting(0, 0, 0)
    feedback = FeedbackStore(folder).all()
    videos = [video for _, video in feedback if video is not None and video.is_file()]
    exported = exported_ids(clip.name for clip in dataset.glob(f"*/{CLIP_PREFIX}*")) if dataset is not None else set()
    return Waiting(
        len(feedback),
        sum(not each.correct for each, _ in feedback),
        sum(video.stem not in exported for video in videos),
    )


def _suffix(video: Path) -> str:
    with video.open("rb") as file:
        head = file.read(16)
    for start, signature, suffix in _SIGNATURES:
        if head[start:].startswith(signature):
            return suffix
    return ".mpg"
