"""Writes `groups.csv`, so that the folder's reader reads back what was proposed."""

from __future__ import annotations

import csv
import io
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.dataset.groups import GROUPS_FILE, groups_of
from actreel.errors import DatasetError


def check_no_groups(folder: Path, command: str) -> None:
    """Refuses to replace groups that somebody listed.

    Args:
        folder: The folder of actions.
        command: What the user ran, for the message.

    Raises:
        DatasetError: There is a `groups.csv`.
    """
    if (file := folder / GROUPS_FILE).exists():
        raise DatasetError(
            f"'{file}' exists, and is not replaced. To see a proposal: {command} --json. To replace the file: "
            f"{command} --force"
        )


def write_groups(folder: Path, clips: Sequence[str], groups: Sequence[str]) -> Path:
    """Writes the table, completely or not at all.

    Args:
        folder: The folder of actions.
        clips: Paths below it.
        groups: The group of each.

    Returns:
        The file.

    Raises:
        DatasetError: A clip's path cannot stand in the table.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["clip", "group"])
    table.writerows(zip(clips, groups, strict=True))
    content = _encoded(text.getvalue(), clips)
    with tempfile.TemporaryDirectory() as trial:
        Path(trial, GROUPS_FILE).write_bytes(content)
        read = groups_of(Path(trial), [Path(clip) for clip in clips], source=folder)
    for clip, group, back in zip(clips, groups, read, strict=True):
        if group != back:
            raise DatasetError(_refusal(clip))
    file = folder / GROUPS_FILE
    with written_aside(file) as aside:
        aside.write_bytes(content)
    return file


def command_for(folder: Path | str) -> str:
    """The command that proposes a folder's groups, to paste."""
    return f"actreel groups {shlex.quote(str(folder))}"


def _encoded(text: str, clips: Sequence[str]) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        clip = next(clip for clip in clips if not clip.isprintable())
        raise DatasetError(_refusal(clip)) from error


def _refusal(clip: str) -> str:
    return (
        f"'{clip}' cannot be named in {GROUPS_FILE}: a path must be UTF-8, and must not equal another's but for the "
        "spelling of its accents. Rename it."
    )
