"""What `SOURCE…` means on the command line: video files, links, and folders of videos."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from actreel.errors import VideoError
from actreel.video.endings import count_endings
from actreel.youtube.links import is_link

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Video:
    """A video to recognise.

    Attributes:
        source: The file or link.
        below: Of a folder's file, its path below that folder; of any other, its name or link.
    """

    source: str
    below: PurePath


def videos_of(sources: Iterable[str], on_error: Callable[[VideoError], None]) -> Iterator[Video]:
    """Each source's videos in order; a folder is searched with all folders below it, as a dataset's is.

    Args:
        sources: Files, links and folders.
        on_error: Called for a folder without videos.
    """
    for source in sources:
        if not os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises OSError if a link is too long for a file's name
            yield Video(source, PurePath(source if is_link(source) else Path(source).name))
            continue
        try:
            yield from _inside(Path(source))
        except VideoError as error:
            on_error(error)


def _inside(folder: Path) -> list[Video]:
    # Here: the room is the dataset's, and only a folder needs it.
    from actreel.dataset.folder import read_folder

    contents = read_folder(folder)
    found = sorted([*contents.loose, *contents.clips])
    left_out = count_endings(contents.others)
    if contents.unfinished:
        left_out += f"{', ' if left_out else ''}{len(contents.unfinished)} unfinished"
    if not found:
        holds = f"only {left_out}" if left_out else "no files"
        raise VideoError(f"A folder must hold videos. Received: '{folder}', which holds {holds}.")
    log.info(f"'{folder}': {len(found)} videos" + (f"; not read: {left_out}" if left_out else ""))
    return [Video(str(folder / path), path) for path in found]
