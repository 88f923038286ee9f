"""What visitors said about predictions: one sqlite file, and the videos that they gave away on purpose.

`export_dataset` makes a folder of clips from it that the pipeline learns from like any other.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from actreel.errors import DatasetError

DATABASE = "feedback.sqlite"
VIDEOS = "videos"

# The first bytes that tell one container from another; the pipeline finds clips by their suffix.
_SIGNATURES = ((0, b"RIFF", ".avi"), (4, b"ftyp", ".mp4"), (0, b"\x1a\x45\xdf\xa3", ".mkv"))

_LABEL = re.compile(r"\w[\w .()'-]{0,63}")


@dataclass(frozen=True)
class Feedback:
    """One visitor's word on one prediction.

    Attributes:
        prediction_id: What the service called the prediction.
        predicted: The label that the model gave.
        confidence: Its probability.
        model: The Bento that answered.
        correct: The visitor's verdict.
        label: The right label, if the visitor gave one.
    """

    prediction_id: str
    predicted: str
    confidence: float
    model: str
    correct: bool
    label: str | None

    @property
    def truth(self) -> str | None:
        """The action in the video as far as the visitor told it."""
        return self.predicted if self.correct else self.label


def default_folder() -> Path:
    """Where feedback is kept: `ACTREEL_FEEDBACK_DIR`, or a folder of the user's own data."""
    if chosen := os.environ.get("ACTREEL_FEEDBACK_DIR"):
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "actreel" / "feedback"


def is_label(text: str) -> bool:
    """Whether a text can be the name of an action, and so of a folder: no separators, no leading dot, not long."""
    return bool(_LABEL.fullmatch(text)) and text.strip() == text


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

    def add(self, feedback: Feedback, video: Path | None = None) -> None:
        """Keeps a verdict, in place of an earlier one on the same prediction.

        Args:
            feedback: The verdict.
            video: The video, only if the visitor agreed that it is kept; it is copied.
        """
        name = None
        if video is not None:
            videos = self._folder / VIDEOS
            videos.mkdir(mode=0o700, exist_ok=True)
            name = feedback.prediction_id + _suffix(video)
            aside = videos / f".{name}"
            shutil.copyfile(video, aside)
            aside.replace(videos / name)
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

    def all(self) -> list[tuple[Feedback, Path | None]]:
        """Every verdict in the order given, with its video if one was kept."""
        with self._database() as database:
            rows = database.execute(
                "SELECT prediction_id, predicted, confidence, model, correct, label, video FROM feedback "
                "ORDER BY given_at, prediction_id"
            ).fetchall()
        return [
            (
                Feedback(name, predicted, confidence, model, bool(correct), label),
                self._folder / VIDEOS / video if video else None,
            )
            for name, predicted, confidence, model, correct, label, video in rows
        ]

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._folder / DATABASE, timeout=10)) as database, database:
            yield database


def export_dataset(folder: Path, target: Path) -> int:
    """Copies the videos that visitors gave to `<target>/<action>/feedback_<id>.<suffix>`.

    Args:
        folder: The feedback folder.
        target: A new or empty folder, or an earlier export, which is completed.

    Returns:
        How many clips `target` now holds.

    Raises:
        DatasetError: There is no feedback with a video and a label.
    """
    if not (folder / DATABASE).is_file():
        raise DatasetError(
            f"feedback must have been given before it is exported. Received: none in '{folder}'. "
            "Set ACTREEL_FEEDBACK_DIR as it is set for the service."
        )
    count = 0
    for feedback, video in FeedbackStore(folder).all():
        label = feedback.truth
        if label is None or video is None or not is_label(label) or not video.is_file():
            continue
        clip = target / label / f"feedback_{video.name}"
        clip.parent.mkdir(parents=True, exist_ok=True)
        aside = clip.with_name(f".{clip.name}")
        shutil.copyfile(video, aside)
        aside.replace(clip)
        count += 1
    if count == 0:
        raise DatasetError(
            f"an export must hold at least 1 video. Received: feedback in '{folder}', but no video that a visitor "
            "agreed to share together with its action."
        )
    return count


def _suffix(video: Path) -> str:
    with video.open("rb") as file:
        head = file.read(16)
    for start, signature, suffix in _SIGNATURES:
        if head[start:].startswith(signature):
            return suffix
    return ".mpg"
