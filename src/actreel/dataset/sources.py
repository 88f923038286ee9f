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
from actreel.dataset.folder import Contents, alike, is_leftover
from actreel.dataset.groups import GROUPS_FILE
from actreel.dataset.layout import TRAIN, action_of, find_split, has_action, named_as_split, split_of
from actreel.dataset.watch import checked_folder
from actreel.errors import DatasetError, listed_names
from actreel.video.endings import count_endings
from actreel.video.signals import signal_beside

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
    folders = [entry for entry in folder.iterdir() if entry.is_dir() and not is_leftover(entry.name)]
    wraps = len(folders) == 1 and any(entry.is_dir() for entry in folders[0].iterdir())
    return _below_wrappers(folders[0]) if wraps else folder


def adopt_folder(folder: Path, target: Path) -> None:
    """Links the clips of a folder of class folders into `target`; copies them where the file system has no hard links.

    Clips may be in sub-folders of a class folder, and files and folders may be links. Files that are not videos are
    left out with a warning, except `groups.csv`, which lists the clips' groups. The folder `_unknown` is for clips of
    none of the actions.

    Args:
        folder: The folder to read.
        target: The folder to fill.

    Raises:
        DatasetError: The folder is missing, contains no clips, or has links to what does not exist.
    """
    contents = checked_folder(folder)
    wrapper, folders = find_split(contents.clips)
    if wrapper.parts:
        adopt_folder(folder / wrapper, target)
        return
    _without_unlabelled(folder, contents, folders)
    table = [Path(GROUPS_FILE)] if (folder / GROUPS_FILE).is_file() else []
    signals = [found.relative_to(folder) for clip in contents.clips if (found := signal_beside(folder / clip))]
    contents.others = [path for path in contents.others if path not in set(signals)]
    _warn_about_the_rest(contents, folders)
    files = contents.clips + list(dict.fromkeys(signals)) + table
    for file in tracked(files, "ingest", len(files)):
        with written_aside(target / file) as aside:
            try:
                os.link((folder / file).resolve(), aside)
            except OSError:
                shutil.copyfile(folder / file, aside)


def _without_unlabelled(folder: Path, contents: Contents, folders: dict[str, str]) -> None:
    """Takes out the clips that lie directly in the folder of a split; competitions hand out such a test.

    Raises:
        DatasetError: So do all clips to train on.
    """
    unlabelled = [clip for clip in contents.clips if not has_action(clip, folders)]
    contents.clips = [clip for clip in contents.clips if has_action(clip, folders)]
    if folders and not any(split_of(clip, folders) == TRAIN for clip in contents.clips):
        raise DatasetError(
            f"the folders {' and '.join(sorted(folders))} must hold one sub-folder per action. Received: clips in none "
            f"in '{folder}', such as '{unlabelled[0]}'. If they are actions themselves, rename one of them."
        )
    if unlabelled:
        log.warning(
            f"{len(unlabelled)} clips lie in the folder of a split, but in none of an action, and are left out: "
            f"{listed_names(unlabelled)}"
        )


def _warn_about_the_rest(contents: Contents, folders: dict[str, str]) -> None:
    """Says what of a folder is left out, and which of its actions may be one."""
    actions = sorted({action_of(clip, folders) for clip in contents.clips})
    for names in alike(actions):
        listed = " and ".join(f"'{name}'" for name in names)
        log.warning(
            f"the folders {listed} count as {len(names)} actions. If they are one, put their clips into one folder"
        )
    if splits := [name for name in actions if not folders and named_as_split(name)]:
        log.warning(
            f"these folders count as actions, though their names are those of splits: {listed_names(splits)}. If they "
            "are splits, rename the other folders beside them too: train, val and test"
        )
    empty = sorted(set(contents.folders) - {clip.parts[0] for clip in contents.clips})
    if empty:
        log.warning(f"{len(empty)} folders contain no clips and are left out: {listed_names(empty)}")
    if contents.loose:
        log.warning(
            f"{len(contents.loose)} videos lie at the top level and belong to no action; they are left out: "
            f"{listed_names(contents.loose)}. Put them into one folder per action"
        )
    others = [path for path in contents.others if path != Path(GROUPS_FILE)]
    if others:
        log.warning(
            f"{len(others)} files are no videos and are left out: {count_endings(others)} (first: '{others[0]}')"
        )
    if contents.unfinished:
        log.warning(
            f"{len(contents.unfinished)} downloads are not complete and are left out: "
            f"{listed_names(contents.unfinished)}"
        )
    if contents.loops:
        log.warning(f"links to a folder that they lie in are not followed: {listed_names(contents.loops)}")
