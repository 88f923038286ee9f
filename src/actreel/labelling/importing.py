"""Segments of long videos that people marked in other programs, as a folder of clips to learn from."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from actreel.base.marks import Mark, fault_in
from actreel.errors import DatasetError, listed_names
from actreel.feedback import folder_of
from actreel.labelling.clips import ClipFolder
from actreel.labelling.elan import read_elan
from actreel.labelling.files import MarkedVideo, not_readable, parse_json, read_text
from actreel.labelling.label_studio import read_label_studio
from actreel.labelling.videos import VideoFolder
from actreel.labelling.x_anylabeling import read_x_anylabeling

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        videos: Videos that clips were cut from.
        clips: Clips of each action, by its name.
    """

    videos: int
    clips: dict[str, int]


def read_marks(file: Path, tier: str | None = None, fps: float | None = None) -> list[MarkedVideo]:
    """Reads a file of ELAN's, Label Studio's or X-AnyLabeling's; which one it is, its content tells.

    Args:
        file: The file.
        tier: The tier, or the timeline, that holds the actions; None where there is but one.
        fps: Frames a second that Label Studio counted; None takes the task's own `fps`, or 24.

    Raises:
        DatasetError: It is none of theirs, is damaged, or holds a label or a time that cannot be one.
    """
    text = read_text(file)
    if text.lstrip()[:1] == "<":
        return read_elan(text, file, tier)
    content = parse_json(text, file)
    if isinstance(content, list):
        return read_label_studio(content, file, tier, fps)
    if isinstance(content, dict):
        return read_label_studio([content], file, tier, fps) if "data" in content else read_x_anylabeling(content, file)
    raise not_readable(file, "it holds neither an object nor a list")


def import_segments(
    files: Sequence[Path],
    videos: Path,
    target: Path,
    *,
    tier: str | None = None,
    fps: float | None = None,
    on_progress: Callable[[int, int, float], None] = lambda done, all_videos, share: None,
) -> Imported:
    """Cuts the segments that files name out of their videos.

    All files are read and checked before the first clip is written. A video that was imported before has its clips
    replaced.

    Args:
        files: As for `read_marks`.
        videos: The folder with the videos; none outside of it is opened.
        target: The dataset folder, new or to be extended.
        tier: As for `read_marks`.
        fps: As for `read_marks`.
        on_progress: Called with the videos done, all videos, and the share of the present one in [0, 1].

    Raises:
        DatasetError: A file is not usable, a video is missing, or segments overlap or lie outside of their video.
        VideoError: A video cannot be decoded.
    """
    folder = VideoFolder(videos)
    marked = [each for file in files for each in read_marks(file, tier, fps) if each.marks]
    if not marked:
        raise DatasetError(f"The files must hold segments. Received: {listed_names(files)}, without any.")
    if unseen := [each.file for each in marked if not each.by_people]:
        log.warning(
            f"{len(unseen)} videos have a model's predictions, and no annotations of people; the predictions are taken "
            f"for the truth: {listed_names(sorted({str(file) for file in unseen}))}"
        )
    marks: dict[Path, list[Mark]] = defaultdict(list)
    for each in marked:
        marks[folder.find(each.names, each.file)] += each.marks
    for video, of_video in marks.items():
        if fault := fault_in(of_video):
            raise DatasetError(f"{fault}, of '{video}'. Correct it where it was labelled.")
    clips = ClipFolder(target)
    actions: Counter[str] = Counter()
    for done, (video, of_video) in enumerate(marks.items()):
        tell = partial(on_progress, done, len(marks))
        clips.add(videos / video, of_video, name=_name(video), group=video.as_posix(), on_progress=tell)
        actions.update(mark.label for mark in of_video)
    return Imported(len(marks), dict(sorted(actions.items())))


def _name(video: Path) -> str:
    """How the names of a video's clips begin: its path below the folder, without its ending."""
    return folder_of("_".join(video.with_suffix("").parts).strip())
