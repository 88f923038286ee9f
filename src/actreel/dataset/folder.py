"""What a folder of clips holds: its clips, and what is left out. Links are followed."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from actreel.video.endings import is_signal, is_video

LEFTOVERS = frozenset(
    name.lower()
    for name in (
        # macOS; its other ones, such as .DS_Store, ._clip.avi, .AppleDouble and .Trashes, are hidden files
        "__MACOSX", "Icon\r", "Network Trash Folder", "Temporary Items",
        # Windows
        "Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "System Volume Information", "$RECYCLE.BIN",
        "RECYCLER", "Recycled", "Picasa.ini",
        # Linux
        "lost+found",
        # Synology's and QNAP's network drives
        "@eaDir", "#recycle", "#snapshot", "@tmp", "@Recycle", "@Recently-Snapshot",
        "@__thumb",
    )
)  # fmt: skip
"""Files and folders that computers leave by themselves, in lower case. Hidden files (`.name`) are leftovers too."""

UNFINISHED = (
    ".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".tmp", ".temp", ".ytdl", ".aria2",
    ".!ut", ".!qb", ".bc!", ".!bt", ".jc!", ".!sync", ".fdmdownload", ".dtapart", ".td", ".xltd", ".icloud", ".mega",
    ".st", ".incomplete", ".unfinished", ".downloading",
)  # fmt: skip
"""Endings of downloads and copies that are not complete; Safari's `.download` is a folder.

iCloud leaves the hidden file `.clip.mp4.icloud` in place of a clip that it has not brought to this machine.
"""

_FOUND_BY_CHKDSK = re.compile(r"found\.\d{3}", re.IGNORECASE)
"""Windows' folder of what it found on a damaged disk."""

# yt-dlp's fragments, and the file that it joins picture and sound in.
_UNFINISHED_BY_YT_DLP = re.compile(r".+\.part-frag\d+|.+\.temp\.\w+", re.IGNORECASE)


@dataclass
class Contents:
    """What a folder holds; all paths are relative to it and sorted.

    Attributes:
        clips: Videos below the folders at its top; in a folder without any video, files of signals there.
        loose: Videos at its top, in no folder.
        others: Files that are no videos.
        folders: Names of the folders at its top.
        unfinished: Downloads and copies that are not complete.
        linked: Files that are links or lie behind a link to a folder.
        broken: Links to what does not exist.
        loops: Links to a folder that they lie in; not followed.
        not_utf8: Files and folders whose names are not UTF-8, which other lists have too.
    """

    clips: list[Path] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)
    not_utf8: list[Path] = field(default_factory=list)


def read_folder(folder: Path) -> Contents:
    """Lists what a folder and all folders below it hold; leftovers of computers are passed over."""
    contents = Contents()
    _read(folder, Path(), False, frozenset({_identity(folder)}), contents)
    if not contents.clips and not contents.loose:
        contents.clips = [path for path in contents.others if is_signal(path) and len(path.parts) > 1]
        contents.others = [path for path in contents.others if path not in set(contents.clips)]
    for paths in vars(contents).values():
        paths.sort()
    return contents


def _read(folder: Path, below: Path, linked: bool, above: frozenset[tuple[int, int]], contents: Contents) -> None:
    """Adds one folder; `above` are the folders that it lies in and itself, as `_identity` tells them."""
    with os.scandir(folder) as scan:
        entries = list(scan)
    names = {entry.name for entry in entries}
    for entry in entries:
        path = below / entry.name
        behind = linked or entry.is_symlink()
        if is_leftover(entry.name) and not entry.name.endswith(".icloud"):
            continue
        if not _is_utf8(entry.name):
            contents.not_utf8.append(path)
        if _is_unfinished(entry.name, names):
            contents.unfinished.append(path)
        elif entry.is_symlink() and not Path(entry.path).exists():
            contents.broken.append(path)
        elif entry.is_dir():
            if not below.parts:
                contents.folders.append(entry.name)
            identity = _identity(Path(entry.path))
            if identity in above:
                contents.loops.append(path)
            else:
                _read(Path(entry.path), path, behind, above | {identity}, contents)
        elif entry.is_file():
            if behind:
                contents.linked.append(path)
            kind = contents.others if not is_video(path) else contents.clips if below.parts else contents.loose
            kind.append(path)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is one that computers leave by themselves, or hidden."""
    return name.startswith(".") or name.lower() in LEFTOVERS or bool(_FOUND_BY_CHKDSK.fullmatch(name))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # Python gives each byte that is no part of a letter half of a surrogate pair
        return False
    return True


def _is_unfinished(name: str, beside: set[str]) -> bool:
    """Whether a download is not complete: by its name, or by the note that the program keeps beside it."""
    noted = any(name + ending in beside for ending in UNFINISHED)
    return noted or name.lower().endswith(UNFINISHED) or bool(_UNFINISHED_BY_YT_DLP.fullmatch(name))


def alike(names: list[str]) -> list[list[str]]:
    """The names that differ only in case, blanks, signs or the spelling of accents: `Jump Rope` and `jump_rope`."""
    spelt: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        key = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
        spelt[key or name].append(name)
    return [same for same in spelt.values() if len(same) > 1]
