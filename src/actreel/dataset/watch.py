"""What DVC cannot see of the source of videos: whether it is there, and what lies behind links in it."""

from __future__ import annotations

import difflib
import glob
import os
import shlex
from pathlib import Path

from actreel.base.places import DATA
from actreel.config import DatasetParams
from actreel.dataset.folder import Contents, read_folder
from actreel.dataset.layout import action_of, find_split, has_action
from actreel.errors import DatasetError, listed_names
from actreel.video.endings import PICTURE_ENDINGS, VIDEO_ENDINGS, count_endings

Listing = dict[str, tuple[str, int, int]]


def files_behind_links(params: DatasetParams) -> Listing:
    """Checks the source, and lists its files that DVC does not watch.

    DVC watches the files of a folder, but not those behind links in it.

    Args:
        params: Section `dataset`.

    Returns:
        For the path of each such file below `dataset.path`, the file's real path, its size in bytes and its time of
        change in nanoseconds. Empty for the demo and for an archive.

    Raises:
        DatasetError: `dataset.path` does not exist, contains no clips, or has links to what does not exist.
    """
    path = Path(params.path)
    if params.name == "demo" or (params.name == "ucf50" and not path.is_dir()):
        # DVC itself downloads UCF50's archive into `data`.
        if not path.exists() and DATA not in path.parents:
            raise DatasetError(_missing(path))
        return {}
    if params.name == "folder":
        contents = checked_folder(path)
    else:
        contents = read_folder(path)
        _refuse_broken_links(path, contents)
    return {file.as_posix(): _state(path / file) for file in contents.linked}


def files_of_weights(weights: str) -> Listing:
    """Lists the file of an encoder's weights, the settings beside it, and files that begin with its name.

    Args:
        weights: As `model.weights`.

    Returns:
        As `files_behind_links`, by the files' paths; empty if there is no such file.
    """
    path = Path(weights)
    if not path.is_file():
        return {}
    more = path.parent.glob(f"{glob.escape(path.name)}[._]*")  # weights beside an ONNX file
    return {str(file): _state(file) for file in (path, path.with_suffix(".yaml"), *sorted(more)) if file.is_file()}


def _state(file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return str(file.resolve()), status.st_size, status.st_mtime_ns


def checked_folder(folder: Path, setting: str = "dataset.path") -> Contents:
    """Reads a folder of class folders.

    Args:
        folder: The folder.
        setting: What it was given as, for messages.

    Raises:
        DatasetError: It is missing, contains no clips, or has links to what does not exist; says what it has instead.
    """
    if not folder.exists():
        raise DatasetError(_missing(folder, setting))
    if not folder.is_dir():
        raise DatasetError(
            f"{setting} must be a folder with one sub-folder per action. Received: '{folder}', which is a file."
        )
    contents = read_folder(folder)
    _refuse_broken_links(folder, contents, setting)
    if contents.not_utf8:
        raise DatasetError(
            f"the names of files and folders in {setting} must be UTF-8. Received in '{folder}': "
            f"{listed_names([_escaped(path) for path in contents.not_utf8])}. Rename them, for example with: "
            f"convmv -r -f latin1 -t utf-8 --notest {shlex.quote(str(folder))}"
        )
    if not contents.clips:
        raise DatasetError(
            f"{setting} must contain clips as <action>/<clip>. Received: '{folder}'. {_instead(contents)}"
        )
    return contents


def clips_by_action(folder: Path, setting: str = "dataset.path") -> tuple[Path, list[Path], list[str]]:
    """The clips of a folder of class folders, which may be split or wrapped as `actreel.dataset.layout` describes.

    Args:
        folder: The folder.
        setting: As for `checked_folder`.

    Returns:
        The folder that `groups.csv` belongs in, the clips' paths below it, and their actions.

    Raises:
        DatasetError: As for `checked_folder`.
    """
    found = checked_folder(folder, setting).clips
    wrapper, folders = find_split(found)
    clips = [clip for clip in (path.relative_to(wrapper) for path in found) if has_action(clip, folders)]
    return folder / wrapper, clips, [action_of(clip, folders) for clip in clips]


def _refuse_broken_links(folder: Path, contents: Contents, setting: str = "dataset.path") -> None:
    if contents.broken:
        # DVC ends with "No such file" for them.
        targets = [f"'{path}' leads to '{(folder / path).readlink()}'" for path in contents.broken]
        raise DatasetError(
            f"links in {setting} must lead to what exists. Received in '{folder}': "
            f"{listed_names(targets, quote='')}. Remove the links, or bring back what they lead to."
        )


def _escaped(path: Path) -> str:
    r"""The path with bytes that are no UTF-8 as bash writes them: `caf\xe9.mp4`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _missing(path: Path, setting: str = "dataset.path") -> str:
    parent = path.absolute().parent
    beside = sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"Did you mean '{path.parent / near[0]}'?" if near else "Check the path."
    return f"{setting} must exist. Received: '{path}', which does not. {hint}"


def _instead(contents: Contents) -> str:
    """What a folder without clips holds, and what to do about it."""
    if contents.loose:
        return (
            f"{len(contents.loose)} videos lie at the top level; put them into one folder per action: "
            f"{listed_names(contents.loose)}"
        )
    if contents.unfinished:
        return f"{len(contents.unfinished)} downloads are not complete: {listed_names(contents.unfinished)}"
    pictures = [path for path in contents.others if path.suffix.lower() in PICTURE_ENDINGS]
    if pictures:
        return (
            f"{len(pictures)} images found, no videos (first: '{pictures[0]}'). Make a video of each clip's frames: "
            "ffmpeg -framerate 25 -i FRAMES/%05d.jpg ACTION/CLIP.mp4"
        )
    if contents.others:
        return f"Its files are no videos: {count_endings(contents.others)}. These endings are read: {_ENDINGS}"
    return f"It holds no files. These endings are read: {_ENDINGS}"


_ENDINGS = " ".join(VIDEO_ENDINGS)
