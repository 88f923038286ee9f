"""Where videos come from: every source fills one folder of class folders."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.base.progress import tracked
from actreel.config import DatasetParams
from actreel.dataset.demo import render_demo
from actreel.dataset.fetch.archive import unpack
from actreel.dataset.groups import GROUPS_FILE
from actreel.dataset.records import VIDEO_SUFFIXES, find_clips
from actreel.errors import DatasetError

log = logging.getLogger(__name__)


def ingest(params: DatasetParams, target: Path, unpacked: Path) -> None:
    """Fills `target` with `<Action>/<clip>` files from the source named in the parameters.

    Args:
        params: Section `dataset`.
        target: The folder to fill.
        unpacked: Folder where an archive is unpacked; kept, to unpack it only once.

    Raises:
        DatasetError: The source is missing, damaged or contains no clips.
    """
    path = Path(params.path)
    if params.name == "demo":
        render_demo(
            target,
            num_groups=params.demo_groups,
            clips_per_group=params.demo_clips,
            seed=params.seed,
        )
    elif params.name == "ucf50":
        if not path.is_dir():
            unpack(path, unpacked)
            path = unpacked
        adopt_folder(_below_wrappers(path), target)
    else:
        adopt_folder(path, target)


def _below_wrappers(folder: Path) -> Path:
    """The folder with the class folders, which UCF50's archive wraps in another folder."""
    folders = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    wraps = len(folders) == 1 and any(entry.is_dir() for entry in folders[0].iterdir())
    return _below_wrappers(folders[0]) if wraps else folder


def adopt_folder(folder: Path, target: Path) -> None:
    """Links the clips of a folder of class folders into `target`; copies them where the file system has no hard links.

    Clips may be in sub-folders of a class folder. Files that are not videos are skipped with a warning, except
    `groups.csv`, which lists the clips' groups. The folder `_unknown` is for clips of none of the actions.

    Args:
        folder: The folder to read.
        target: The folder to fill.

    Raises:
        DatasetError: The folder is missing or contains no clips.
    """
    if not folder.is_dir():
        raise DatasetError(f"dataset.path must be a folder with one sub-folder per action. Received: '{folder}'")
    clips = find_clips(folder)
    if not clips:
        raise DatasetError(
            "dataset.path must contain clips as <action>/<clip>, with one of these endings: "
            f"{', '.join(sorted(VIDEO_SUFFIXES))}. Received: none in '{folder}'"
        )
    _warn_about_ignored_files(folder, clips)
    table = [Path(GROUPS_FILE)] if (folder / GROUPS_FILE).is_file() else []
    for file in tracked(clips + table, "ingest", len(clips + table)):
        with written_aside(target / file) as aside:
            try:
                os.link((folder / file).resolve(), aside)
            except OSError:
                shutil.copyfile(folder / file, aside)


def _warn_about_ignored_files(folder: Path, clips: list[Path]) -> None:
    actions = {clip.parts[0] for clip in clips}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and entry.name not in actions and not entry.name.startswith("."):
            log.warning(f"class folder '{entry.name}' contains no clips and is ignored")
    known = {*clips, Path(GROUPS_FILE)}
    ignored = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder) not in known
    ]
    if ignored:
        log.warning(f"{len(ignored)} files are not clips in a class folder and are ignored (first: '{ignored[0]}')")
