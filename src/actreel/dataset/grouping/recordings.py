"""What a file says of its recording: when, with which device, and in which form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from actreel.video.info import VideoInfo

CLOSE = timedelta(minutes=30)
"""Recordings of one device that begin within this time of each other are taken for neighbours."""

_EARLIEST = 1990
"""Years before this come from clocks that were never set: containers count from 1904 or 1970."""
_TIMES = ("com.apple.quicktime.creationdate", "creation_time", "date_recorded", "datetimeoriginal", "date", "idit")
_MAKERS = ("com.apple.quicktime.make", "com.android.manufacturer", "make", "manufacturer")
_MODELS = ("com.apple.quicktime.model", "com.android.model", "model", "device")
_PROGRAMS = ("software", "encoder", "com.apple.quicktime.software", "com.android.version", "writing_application")


@dataclass(frozen=True)
class Recording:
    """What a file says of its recording.

    Attributes:
        created: When it began; None if the file does not say so to the second.
        device: Maker and model, or empty.
        form: Width, height, frames a second, codec and program: the same for what one device or program wrote.
    """

    created: datetime | None
    device: str
    form: tuple[int, int, float, str, str]


def recording_of(tags: Mapping[str, str], info: VideoInfo) -> Recording:
    """Reads a file's tags.

    Args:
        tags: From `actreel.video.container.Video.tags`.
        info: What the video holds.
    """
    return Recording(
        created=next(filter(None, (_time(tags[name]) for name in _TIMES if name in tags)), None),
        device=" ".join(filter(None, (_first(tags, _MAKERS), _first(tags, _MODELS)))),
        form=(info.width, info.height, round(info.fps, 1), info.codec, _first(tags, _PROGRAMS)),
    )


def neighbours(one: Recording, other: Recording) -> bool:
    """Whether one device recorded both within half an hour."""
    if one.created is None or other.created is None or one.device != other.device:
        return False
    return abs(one.created - other.created) <= CLOSE


def _first(tags: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((tags[name] for name in names if name in tags), "")


def _time(text: str) -> datetime | None:
    """A time with seconds, as ISO 8601 or Exif write it; without a time zone it counts as UTC."""
    if ":" not in text:
        return None  # a day is no time
    for spelling in (text, text.replace(":", "-", 2)):
        try:
            time = datetime.fromisoformat(spelling)
        except ValueError:
            continue
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return time if time.year >= _EARLIEST else None
    return None
