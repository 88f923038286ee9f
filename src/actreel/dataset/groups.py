"""Which clips show one person before one background: a group is what must not stand on both sides of a split.

A clip's group is, in this order: its line in `groups.csv` at the top of the folder (columns `clip`, `group`), what the
parameter `dataset.group_pattern` finds in its path, its UCF name, else the clip is a group of its own.
"""

from __future__ import annotations

import csv
import logging
import re
import unicodedata
from pathlib import Path, PurePosixPath

from actreel.errors import DatasetError

GROUPS_FILE = "groups.csv"

log = logging.getLogger(__name__)

# UCF50 and UCF101: v_YoYo_g01_c02.avi is clip 2 of group 1 (one person, one background).
_UCF_NAME = re.compile(r"v_.+_g(?P<group>\d+)_c\d+", re.IGNORECASE)


def groups_of(videos: Path, clips: list[Path], pattern: str | None = None) -> list[str]:
    """The group of each clip; warns of clips that are each a group of their own.

    Args:
        videos: The folder of class folders, with or without `groups.csv`.
        clips: Relative to it.
        pattern: Regular expression with a group named `group`, searched for in the clip's path (with '/').

    Raises:
        DatasetError: `groups.csv` is no such table, names a clip twice with different groups, or names none of these.
    """
    told = _read_groups(videos / GROUPS_FILE, clips) if (videos / GROUPS_FILE).is_file() else {}
    names = [told.get(_key(clip.as_posix())) or _from_path(clip, pattern) or _from_ucf_name(clip) for clip in clips]
    alone = [clip for clip, name in zip(clips, names, strict=True) if name is None]
    if alone:
        log.warning(
            f"{len(alone)} of {len(clips)} clips have no known group, so each is a group of its own (first: "
            f"'{alone[0]}'). Where several show one person or scene, the test will flatter the model. Name them in "
            f"{GROUPS_FILE} (columns clip,group), set dataset.group_pattern, or name clips v_<Action>_gNN_cMM."
        )
    return [name or clip.as_posix() for clip, name in zip(clips, names, strict=True)]


def _from_path(clip: Path, pattern: str | None) -> str | None:
    match = re.search(pattern, clip.as_posix()) if pattern else None
    return match["group"] or None if match else None


def _from_ucf_name(clip: Path) -> str | None:
    match = _UCF_NAME.fullmatch(clip.stem)
    return f"g{int(match['group']):02d}" if match else None


def _read_groups(path: Path, clips: list[Path]) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a byte order mark
            table = csv.DictReader(file)
            header = [name.strip().lower() for name in table.fieldnames or ()]
            table.fieldnames = header
            rows = [(table.line_num, row) for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"'{path}' must be a table in UTF-8. Received: {error}. Save it as CSV (UTF-8).") from error
    if not {"clip", "group"} <= set(header):
        raise DatasetError(f"'{path}' must have the columns clip,group. Received: {','.join(header) or 'nothing'}")
    groups: dict[str, str] = {}
    for line, row in rows:
        clip, group = ((row[column] or "").strip() for column in ("clip", "group"))
        if not clip or not group:
            raise DatasetError(f"each line must name a clip and its group. Received: line {line} of '{path}'.")
        if groups.setdefault(_key(clip), group) != group:
            raise DatasetError(
                f"a clip must have one group. Received: '{clip}' in '{groups[_key(clip)]}' and in '{group}', line "
                f"{line} of '{path}'."
            )
    known = {_key(clip.as_posix()) for clip in clips}
    strangers = sorted(groups.keys() - known)
    if strangers and len(strangers) == len(groups):
        raise DatasetError(
            f"'{path}' must name clips by their path below its folder, as in '{clips[0].as_posix()}'. Received: "
            f"'{strangers[0]}' and {len(strangers) - 1} more, none of them there."
        )
    if strangers:
        log.warning(f"'{path}' names {len(strangers)} clips that are not there (first: '{strangers[0]}')")
    return groups


def _key(clip: str) -> str:
    """The same clip by whatever spelling: macOS writes accents apart, Windows writes backslashes."""
    return PurePosixPath(unicodedata.normalize("NFC", clip.replace("\\", "/"))).as_posix()
