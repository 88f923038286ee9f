"""Where videos come from: each source fills one folder of class folders."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from tqdm import tqdm

from actreel.config import DatasetParams
from actreel.dataset.demo import render_demo
from actreel.dataset.fetch.archive import unpack
from actreel.dataset.groups import GROUPS_FILE
from actreel.dataset.records import VIDEO_SUFFIXES, find_clips
from actreel.errors import DatasetError

log = logging.getLogger(__name__)


def ingest(params: DatasetParams, target: Path, unpacked: Path) -> None:
    """Fills `target` with `<Action>/<clip>` files from the source that the parameters name.

    Args:
        params: The source.
        target: The folder to fill.
        unpacked: Where an archive is unpacked; kept, so that it need not be unpacked again.

    Raises:
        DatasetError: The source is missing, damaged or holds no clips.
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
    """UCF50's archive wraps its class folders in one folder more."""
    folders = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    wraps = len(folders) == 1 and any(entry.is_dir() for entry in folders[0].iterdir())
    return _below_wrappers(folders[0]) if wraps else folder


def adopt_folder(folder: Path, target: Path) -> None:
    """Brings in a folder of class folders, by hard link where the file system allows it, else by copy.

    Clips may lie deeper than the class folder; files that are no videos are passed over with a warning, except
    `groups.csv`, which tells the clips' groups. A folder named `_unknown` holds clips of none of the actions.

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
    told = [Path(GROUPS_FILE)] if (folder / GROUPS_FILE).is_file() else []
    for clip in tqdm(clips + told, desc="ingest", unit="clip", dynamic_ncols=True):
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
    known = {*clips, Path(GROUPS_FILE)}
    strangers = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder) not in known
    ]
    if strangers:
        log.warning(f"{len(strangers)} files are no clips in a class folder and are left out (first: '{strangers[0]}')")
