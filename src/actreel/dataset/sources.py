"""Where videos come from: each source fills one folder of class folders."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from tqdm import tqdm

from actreel.config import DatasetParams
from actreel.dataset.demo import render_demo
from actreel.dataset.records import VIDEO_SUFFIXES, find_clips
from actreel.errors import DatasetError

log = logging.getLogger(__name__)


def ingest(params: DatasetParams, target: Path) -> None:
    """Fills `target` with `<Action>/<clip>` files from the source that the parameters name.

    Raises:
        DatasetError: The source is missing or holds no clips.
    """
    if params.name == "demo":
        render_demo(
            target,
            num_groups=params.demo_groups,
            clips_per_group=params.demo_clips,
            seed=params.seed,
        )
    else:
        adopt_folder(Path(params.path), target)


def adopt_folder(folder: Path, target: Path) -> None:
    """Brings in a folder of class folders, by hard link where the file system allows it, else by copy.

    Clips may lie deeper than the class folder; files that are no videos are passed over with a warning. A folder
    named `_unknown` holds clips of none of the actions.

    Raises:
        DatasetError: The folder is missing or holds no clips.
    """
    if not folder.is_dir():
        raise DatasetError(f"dataset.path must be a folder of class folders. Received: '{folder}'")
    clips = find_clips(folder)
    if not clips:
        raise DatasetError(
            f"dataset.path must hold clips as <action>/<clip>, ending in one of {', '.join(sorted(VIDEO_SUFFIXES))}. "
            f"Received: none in '{folder}'"
        )
    _warn_of_strangers(folder, clips)
    for clip in tqdm(clips, desc="ingest", unit="clip", dynamic_ncols=True):
        destination = target / clip
        destination.parent.mkdir(parents=True, exist_ok=True)
        aside = destination.with_name(f".{destination.name}.part")
        aside.unlink(missing_ok=True)
        try:
            os.link((folder / clip).resolve(), aside)
        except OSError:
            shutil.copyfile(folder / clip, aside)
        aside.replace(destination)


def _warn_of_strangers(folder: Path, clips: list[Path]) -> None:
    actions = {clip.parts[0] for clip in clips}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and entry.name not in actions and not entry.name.startswith("."):
            log.warning(f"class folder '{entry.name}' holds no clips; it is left out")
    known = set(clips)
    strangers = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder) not in known
    ]
    if strangers:
        log.warning(f"{len(strangers)} files are no clips in a class folder and are left out (first: '{strangers[0]}')")
