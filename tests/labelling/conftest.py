"""Files as the labelling programs write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Span = tuple[float, float, str]


def eaf(
    spans: Sequence[Span], media: str = "file:///home/anna/lesson.mp4", tier: str = "action", head: str = ""
) -> str:
    """An ELAN file with one tier; times in milliseconds."""
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{2 * row + place}" TIME_VALUE="{time}"/>'
        for row, span in enumerate(spans)
        for place, time in enumerate(span[:2])
    )
    annotations = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{row}" TIME_SLOT_REF1="ts{2 * row}" '
        f'TIME_SLOT_REF2="ts{2 * row + 1}"><ANNOTATION_VALUE>{name}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
        "</ANNOTATION>"
        for row, (_, _, name) in enumerate(spans)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<ANNOTATION_DOCUMENT AUTHOR="" DATE="" FORMAT="3.0">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="{media}" MIME_TYPE="video/mp4"/>'
        f'</HEADER><TIME_ORDER>{slots}</TIME_ORDER><TIER LINGUISTIC_TYPE_REF="action" TIER_ID="{tier}">{annotations}'
        '</TIER><TIER LINGUISTIC_TYPE_REF="notes" TIER_ID="notes"></TIER></ANNOTATION_DOCUMENT>'
    )


def region(start: Any, end: Any, name: str, timeline: str = "action") -> dict[str, Any]:
    """A segment as Label Studio exports it; frames count from 1."""
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [name]}
    return {"id": "x", "type": "timelinelabels", "from_name": timeline, "to_name": "video", "value": value}


def task(*regions: dict[str, Any], video: str = "/data/upload/1/0a1b2c3d-lesson.mp4", **data: Any) -> dict[str, Any]:
    """A task that one person has labelled."""
    annotation = {"updated_at": "2026-01-02T00:00:00Z", "was_cancelled": False, "result": list(regions)}
    return {"id": 1, "data": {"video": video, **data}, "annotations": [annotation], "predictions": []}


def sidecar(spans: Sequence[tuple[Any, Any, Any]], **more: Any) -> dict[str, Any]:
    """What X-AnyLabeling's Video Classifier keeps; times in milliseconds."""
    segments = [{"id": "s1", "label": name, "start_ms": start, "end_ms": end} for start, end, name in spans]
    return {"version": "1.0.0", "type": "video_classification", "video": "lesson.mp4", "segments": segments, **more}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path
