"""What is to be learned: clips of a new action, or more clips of actions that the model knows already."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from actreel.base.places import UNKNOWN
from actreel.dataset.folder import alike, read_folder
from actreel.dataset.groups import groups_of
from actreel.dataset.watch import clips_by_action
from actreel.errors import ConfigError, DatasetError, VideoError, listed_names
from actreel.feedback import is_label

USAGE = "actreel teach NAME CLIP..., or actreel teach FOLDER with one sub-folder per action"

log = logging.getLogger(__name__)


def read_lesson(what: str, clips: Sequence[Path], group_pattern: str | None = None) -> pd.DataFrame:
    """Lists the clips to learn, without decoding them.

    Args:
        what: An action's name; or a dataset folder, with one sub-folder per action, if `clips` is empty.
        clips: Videos of the action, and folders of such videos.
        group_pattern: As `dataset.group_pattern`.

    Returns:
        One row a clip: `path`, `clip` (its name), `action` (`_unknown` if it shows none), `group` and `sha256`. Of
        copies, one is kept.

    Raises:
        ConfigError: The name cannot be an action's, or no clip is named.
        DatasetError: A folder holds no clips, or a clip lies in the folders of two actions.
        VideoError: A clip is missing.
    """
    found = list(_of_action(what, clips, group_pattern) if clips else _of_folder(Path(what), group_pattern))
    rows = pd.DataFrame(found, columns=["path", "clip", "action", "group", "sha256"])
    doubtful = rows.groupby("sha256")["action"].nunique()
    if (doubtful > 1).any():
        copies = rows.loc[rows["sha256"] == doubtful.idxmax(), "path"].tolist()
        raise DatasetError(
            f"A clip must show one action. Received: one video as {listed_names(copies)}. "
            "Remove it from the folder of the wrong action."
        )
    if rows["sha256"].duplicated().any():
        log.info(f"{rows['sha256'].duplicated().sum()} clips are copies of others, and are left out")
    return rows.drop_duplicates("sha256", ignore_index=True)


def check_names(lesson: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """The actions of a lesson that the model does not know.

    Raises:
        DatasetError: There is nothing to learn, or a name is nearly that of an action which the model knows.
    """
    actions = sorted(set(lesson["action"]) - {UNKNOWN})
    if not actions:
        raise DatasetError(
            f"A lesson needs clips of an action. Received: only clips of '{UNKNOWN}', which are for measuring. "
            f"Try: {USAGE}"
        )
    new = [action for action in actions if action not in labels]
    for same in alike([*labels, *new]):
        if wrong := [name for name in same if name in new]:
            raise DatasetError(
                "The name of a new action must differ from the others in more than case, blanks and signs. Received: "
                f"{listed_names(same)}. Give '{wrong[0]}' another name, or that of the action which it is."
            )
    return new


def _of_action(name: str, clips: Sequence[Path], pattern: str | None) -> Iterator[tuple[str, str, str, str, str]]:
    if not is_label(name) or name == UNKNOWN or name.startswith("."):
        raise ConfigError(
            f"An action's name has printable letters, no space at its ends, no dot at its start, and is not "
            f"'{UNKNOWN}'. Received: '{name}'. Try: {USAGE}"
        )
    files: dict[Path, list[Path]] = defaultdict(list)
    for clip in clips:
        if clip.is_dir():
            contents = read_folder(clip)
            if not (inside := sorted([*contents.loose, *contents.clips])):
                raise DatasetError(f"A folder must hold videos. Received: '{clip}', which holds none.")
            files[clip] += inside
        elif clip.is_file():
            files[clip.parent].append(Path(clip.name))
        else:
            raise VideoError(f"A clip must exist. Received: '{clip}'. Try: {USAGE}")
    for folder, names in files.items():
        yield from _rows(folder, names, [name] * len(names), pattern)


def _of_folder(folder: Path, pattern: str | None) -> Iterator[tuple[str, str, str, str, str]]:
    if not folder.is_dir():
        raise ConfigError(f"Clips must be named. Received: '{folder}', which is no folder. Try: {USAGE}")
    contents = read_folder(folder)
    if contents.loose and not contents.clips:
        raise DatasetError(
            f"A folder must hold one sub-folder per action. Received: '{folder}' with videos in none: "
            f"{listed_names(contents.loose)}. Name their action: actreel teach NAME '{folder}'"
        )
    base, clips, actions = clips_by_action(folder, "the folder of clips")
    yield from _rows(base, clips, actions, pattern)


def _rows(
    folder: Path, clips: list[Path], actions: list[str], pattern: str | None
) -> Iterator[tuple[str, str, str, str, str]]:
    """A row for each clip; one without a group counts as a group of its own."""
    for clip, action, group in zip(clips, actions, groups_of(folder, clips, pattern), strict=True):
        with (folder / clip).open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        alone = group == clip.as_posix()
        yield str(folder / clip), clip.as_posix(), action, f"clip {digest[:12]}" if alone else group, digest
