"""Label Studio's exports: tasks with the labels of a timeline, https://labelstud.io/tags/timelinelabels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actreel.base.marks import Mark
from actreel.errors import DatasetError, listed_names
from actreel.inference.exports import TIMELINE, VIDEO
from actreel.labelling.files import MarkedVideo, label, not_readable, number, objects
from actreel.video.endings import is_video

DEFAULT_FPS = 24.0
"""Frames a second that Label Studio counts where its labelling configuration says nothing else."""


def read_label_studio(tasks: Any, file: Path, timeline: str | None, fps: float | None) -> list[MarkedVideo]:
    """The marks of each task: those of its newest annotation, or else of its prediction.

    Args:
        tasks: The export's JSON.
        file: For messages.
        timeline: The name of the `TimelineLabels` in the labelling configuration; None takes the only one, or `action`.
        fps: Frames a second that Label Studio counted; None takes the task's own `fps`, or 24.

    Raises:
        DatasetError: It is no such export, or names no timeline of which there are several.
    """
    found = []
    for task in objects(tasks):
        data = task.get("data")
        if not isinstance(data, dict):
            raise not_readable(file, "a task has no 'data'; export from Label Studio as JSON, not as JSON-MIN or CSV")
        given = [each for each in objects(task.get("annotations")) if not each.get("was_cancelled")]
        answers = [each for each in objects(task.get("predictions")) if "result" in each]
        if not given and not answers:
            continue
        newest = max(given, key=lambda each: str(each.get("updated_at", ""))) if given else answers[0]
        regions = [each for each in objects(newest.get("result")) if each.get("type") == "timelinelabels"]
        rate = fps or (number(data["fps"], file) if "fps" in data else DEFAULT_FPS)
        if not 0 < rate < float("inf"):
            raise not_readable(file, f"a task's 'fps' is {rate}")
        marks = tuple(mark for region in _of(timeline, regions, file) for mark in _marks(region, rate, file))
        found.append(MarkedVideo(file, _names(data), marks, by_people=bool(given)))
    return found


def _of(timeline: str | None, regions: list[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    names = sorted({str(region.get("from_name")) for region in regions})
    if timeline is None:
        timeline = names[0] if len(names) == 1 else TIMELINE
    if regions and timeline not in names:
        raise DatasetError(
            f"One timeline must hold the actions. Received: '{file}' with {listed_names(names)}. "
            "Name the timeline: --tier NAME"
        )
    return [region for region in regions if str(region.get("from_name")) == timeline]


def _marks(region: dict[str, Any], fps: float, file: Path) -> list[Mark]:
    value = region.get("value")
    value = value if isinstance(value, dict) else {}
    labels = value.get("timelinelabels")
    if not isinstance(labels, list) or len(labels) != 1:
        raise DatasetError(f"Each segment must have one label. Received: {str(labels)[:80]} in '{file}'. Correct it.")
    # Frames count from 1, and a range ends with its last frame.
    return [
        Mark((number(span.get("start"), file) - 1) / fps, number(span.get("end"), file) / fps, label(labels[0], file))
        for span in objects(value.get("ranges"))
    ]


def _names(data: dict[str, Any]) -> tuple[str, ...]:
    texts = [value for value in (data.get(VIDEO), *data.values()) if isinstance(value, str)]
    return tuple(texts[:1] if VIDEO in data else [text for text in texts if is_video(Path(text))])
