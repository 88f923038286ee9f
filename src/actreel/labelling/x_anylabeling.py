"""The files that X-AnyLabeling's Video Classifier keeps beside videos.

Their format: docs/en/video_classifier.md of https://github.com/CVHub520/X-AnyLabeling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actreel.base.marks import Mark
from actreel.labelling.files import MarkedVideo, label, not_readable, number, objects

KIND = "video_classification"
"""What such a file calls itself."""


def read_x_anylabeling(fields: dict[str, Any], file: Path) -> list[MarkedVideo]:
    """The marks of the one video that the file is about.

    Args:
        fields: The file's JSON.
        file: For messages.

    Raises:
        DatasetError: It is of another kind, such as a picture's shapes.
    """
    if fields.get("type") != KIND:
        raise not_readable(file, f"its type is {str(fields.get('type'))[:50]!r}, not {KIND!r}")
    marks = tuple(
        Mark(
            number(each.get("start_ms"), file) / 1000, number(each.get("end_ms"), file) / 1000,
            label(each.get("label"), file),
        )
        for each in objects(fields.get("segments"))
    )  # fmt: skip
    return [MarkedVideo(file, (str(fields.get("video") or file.stem),), marks)]
