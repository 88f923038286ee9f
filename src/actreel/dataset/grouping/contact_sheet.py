"""The doubtful pairs as one HTML file with pictures, which fetches nothing, and the answers that it saves."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from actreel.base.atomic import written_aside
from actreel.dataset.grouping.joins import Join
from actreel.dataset.grouping.proposal import Answers
from actreel.errors import DatasetError
from actreel.video.clips import middle_frames
from actreel.video.decode import sample_frames
from actreel.video.opencv import cv2

PICTURES = 3
"""Frames of each clip."""
MAX_PAIRS = 200
"""The most pairs on a page, the likeliest first: 1,200 pictures of about 5 KB each."""

_WIDTH = 200
_COLUMNS = ("clip", "other", "same")
_SAME = {"yes": True, "y": True, "1": True, "true": True, "no": False, "n": False, "0": False, "false": False}


def write_sheet(page: Path, folder: Path, doubtful: Sequence[Join], command: str) -> int:
    """Writes the page.

    Args:
        page: The HTML file to write.
        folder: The folder of actions.
        doubtful: The pairs, the likeliest first.
        command: What the user runs with the answers; `--answers FILE` is appended.

    Returns:
        The number of pairs on it.
    """
    shown = doubtful[:MAX_PAIRS]
    clips = dict.fromkeys(clip for join in shown for clip in (join.clip, join.other))
    pictures = {clip: _pictures(folder / clip) for clip in clips}
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, autoescape=True
    )
    script = (Path(__file__).parent / "contact_sheet.js").read_text(encoding="utf-8")
    text = templates.get_template("contact_sheet.html.jinja").render(
        pairs=shown,
        left_out=len(doubtful) - len(shown),
        pictures=pictures,
        command=command,
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    with written_aside(page) as aside:
        aside.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return len(shown)


def read_answers(file: Path) -> Answers:
    """Reads what the page saved: a table with the columns clip, other and same.

    Raises:
        DatasetError: It is missing, or is no such table.
    """
    advice = "Save it from the page that --page writes."
    try:
        with file.open(encoding="utf-8-sig", newline="") as table:
            rows = list(csv.DictReader(table))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"answers must be a CSV table in UTF-8. Received: '{file}' ({error}). {advice}") from error
    answers = {}
    for line, row in enumerate(rows, 2):
        clip, other, same = (str(row.get(column) or "") for column in _COLUMNS)
        if not (clip and other and same.lower() in _SAME):
            raise DatasetError(
                f"each answer must name clip, other and same (yes or no). Received: line {line} of '{file}'. {advice}"
            )
        answers[frozenset((clip, other))] = _SAME[same.lower()]
    if not answers:
        raise DatasetError(f"answers must be about at least 1 pair. Received: '{file}', which holds none. {advice}")
    return answers


def _pictures(video: Path) -> list[str]:
    """Frames of a clip as JPEG, in base64."""
    frames, _ = sample_frames(video, lambda num_frames: middle_frames(num_frames, PICTURES), _small)
    return [base64.b64encode(cv2.imencode(".jpg", frame[:, :, ::-1])[1].tobytes()).decode() for frame in frames]


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = max(1, round(frame.shape[0] * _WIDTH / frame.shape[1]))
    return np.asarray(cv2.resize(frame, (_WIDTH, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
