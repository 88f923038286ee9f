"""Which clips share a person and a background: such a group must not be both in training and in the test.

The group of a clip is the first of: its row in `groups.csv` at the top of the folder (columns `clip`, `group`), the
match of `dataset.group_pattern` in its path, the group in its UCF file name, a group with only this clip.
"""

from __future__ import annotations

import csv
import logging
import re
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from actreel.errors import DatasetError

GROUPS_FILE = "groups.csv"

log = logging.getLogger(__name__)

# UCF50 and UCF101: v_YoYo_g01_c02.avi is clip 2 of group 1 (one person, one background). What stands around it is of
# a copy, which may be cut or encoded again: `Copy of v_YoYo_g01_c02 (1)`, `v_YoYo_g01_c02_small`, `v_YoYo_g01_c02b`.
_UCF_NAME = re.compile(r"(?<![A-Z0-9])v_.+_g(?P<group>\d+)_c\d+", re.IGNORECASE | re.ASCII)


def groups_of(videos: Path, clips: list[Path], pattern: str | None = None, source: Path | None = None) -> list[str]:
    """Finds the group of each clip; warns about clips whose group is unknown.

    Args:
        videos: The folder of class folders, which may contain `groups.csv`.
        clips: Paths relative to `videos`.
        pattern: Regular expression with a group named `group`, searched for in each clip's path (with '/').
        source: The user's folder that `videos` was filled from, for messages; None: `videos` itself.

    Returns:
        One group per clip.

    Raises:
        DatasetError: `groups.csv` is not such a table, gives a clip two groups, or names none of these clips.
    """
    named = (source or videos) / GROUPS_FILE
    listed = _read_groups(videos / GROUPS_FILE, clips, named) if (videos / GROUPS_FILE).is_file() else {}
    names = [
        listed.get(clip_key(clip.as_posix())) or _from_path(clip, pattern) or group_in_ucf_name(clip) for clip in clips
    ]
    alone = [clip for clip, name in zip(clips, names, strict=True) if name is None]
    if alone:
        log.warning(
            f"{len(alone)} of {len(clips)} clips have no known group and count as one group each (first: "
            f"'{alone[0]}'). If several of them show the same person or scene, test accuracy will be too high. List "
            f"them in {GROUPS_FILE} (columns clip,group), set dataset.group_pattern, or name clips v_<Action>_gNN_cMM."
        )
    return [name or clip.as_posix() for clip, name in zip(clips, names, strict=True)]


def _from_path(clip: Path, pattern: str | None) -> str | None:
    match = re.search(pattern, clip.as_posix()) if pattern else None
    return match["group"] or None if match else None


def group_in_ucf_name(clip: Path) -> str | None:
    """The group in a file name that is, or contains, one like UCF's, `v_<Action>_g01_c02`; None in any other."""
    match = _UCF_NAME.search(unquote(clip.stem))  # downloads have `%20` for a blank
    return f"g{int(match['group']):02d}" if match else None


def _read_groups(path: Path, clips: list[Path], named: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a byte order mark
            table = csv.DictReader(file)
            header = [name.strip().lower() for name in table.fieldnames or ()]
            table.fieldnames = header
            rows = [(table.line_num, row) for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"'{named}' must be a CSV table in UTF-8. Received: {error}. Save it as CSV (UTF-8)."
        ) from error
    if not {"clip", "group"} <= set(header):
        raise DatasetError(f"'{named}' must have the columns clip,group. Received: {','.join(header) or 'nothing'}")
    known = {clip_key(clip.as_posix()) for clip in clips}
    groups: dict[str, str] = {}
    for line, row in rows:
        clip, group = row["clip"] or "", (row["group"] or "").strip()
        if clip_key(clip) not in known:  # blanks around it are the table's, unless the clip's own name has them
            clip = clip.strip()
        if not clip or not group:
            raise DatasetError(
                f"each row must name a clip and its group. Received: line {line} of '{named}', without one of them."
            )
        if groups.setdefault(clip_key(clip), group) != group:
            raise DatasetError(
                f"each clip must have one group. Received: '{clip}' in '{groups[clip_key(clip)]}' and in '{group}', "
                f"line {line} of '{named}'."
            )
    missing = sorted(groups.keys() - known)
    if missing and len(missing) == len(groups):
        raise DatasetError(
            f"'{named}' must name clips by their path relative to its folder, as in '{clips[0].as_posix()}'. Received: "
            f"'{missing[0]}' and {len(missing) - 1} more, none of which exists."
        )
    if missing:
        log.warning(f"'{named}' names {len(missing)} clips that do not exist (first: '{missing[0]}')")
    return groups


def clip_key(clip: str) -> str:
    """One spelling for each clip: macOS decomposes accents, Windows writes backslashes."""
    return PurePosixPath(unicodedata.normalize("NFC", clip.replace("\\", "/"))).as_posix()
