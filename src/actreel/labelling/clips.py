"""Marked videos as clips of a dataset: `<action>/<video>_<start>_<end>.mp4`, and their groups in `groups.csv`."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from actreel.base.marks import Mark, fault_in
from actreel.dataset.folder import is_leftover
from actreel.dataset.grouping.writing import write_groups
from actreel.dataset.groups import GROUPS_FILE
from actreel.errors import DatasetError
from actreel.feedback import clip_of, folder_of
from actreel.video.cutting import Cut, cut_clips


class ClipFolder:
    """A folder of clips to learn from, which marked videos are added to.

    Args:
        folder: It need not exist.

    Raises:
        DatasetError: Its `groups.csv` cannot be extended.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._groups = _read(folder / GROUPS_FILE)

    def add(
        self,
        video: Path,
        marks: Iterable[Mark],
        *,
        name: str,
        group: str,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> list[Path]:
        """Cuts a video's marks into clips; those that an earlier call cut from it under the same name are replaced.

        The clips and their lines in `groups.csv` are written once all of them are cut.

        Args:
            video: The video.
            marks: At least one.
            name: How the clips' names begin.
            group: The video's group, which all of its clips share.
            on_progress: As for `cut_clips`.

        Returns:
            The clips' paths below the folder.

        Raises:
            DatasetError: A mark is faulty, or does not lie within the video.
            VideoError: The video cannot be decoded.
        """
        marks = sorted(marks, key=lambda mark: mark.start_s)
        _check(marks, None, video)
        paths = [Path(action_folder(mark.label), clip_of(name, mark)) for mark in marks]
        self.folder.mkdir(parents=True, exist_ok=True)
        # In the folder itself, so that moving a clip is a rename; hidden, so that no clip is read before it is whole.
        with tempfile.TemporaryDirectory(prefix=".cut-", dir=self.folder) as aside:
            cuts = [Cut(mark.start_s, mark.end_s, Path(aside, f"{place}.mp4")) for place, mark in enumerate(marks)]
            counts, info = cut_clips(video, cuts, on_progress)
            _check(marks, info.duration_s, video)
            if 0 in counts:
                raise DatasetError(
                    f"A segment must last a frame, {1 / info.fps:.3g} s. Received: {marks[counts.index(0)]} of "
                    f"'{video}'. Remove it."
                )
            self._replace(name, group, paths)
            for cut, path in zip(cuts, paths, strict=True):
                (self.folder / path.parent).mkdir(exist_ok=True)
                cut.target.replace(self.folder / path)
        return paths

    def drop(self, name: str) -> None:
        """Removes the clips that were cut under a name."""
        self._replace(name, "", [])

    def holds(self, marks: Iterable[Mark], *, name: str, group: str) -> bool:
        """Whether just these marks were cut under this name, and the clips are there."""
        paths = {f"{folder_of(mark.label)}/{clip_of(name, mark)}" for mark in marks}
        lines = {clip: self._groups[clip] for clip in self._cut(name)}
        return lines == dict.fromkeys(paths, group) and all((self.folder / path).is_file() for path in paths)

    def set_groups(self, groups: Mapping[str, str | None]) -> None:
        """Sets or, with None, removes the lines of clips in `groups.csv`.

        Args:
            groups: By the clips' paths below the folder.
        """
        changed = {clip: group for clip, group in {**self._groups, **groups}.items() if group is not None}
        if changed != self._groups:
            self._groups = changed
            write_groups(self.folder, list(changed), list(changed.values()))

    def _cut(self, name: str) -> set[str]:
        ours = re.compile(re.escape(name) + r"_\d{6,}_\d{6,}\.mp4")
        return {clip for clip in self._groups if ours.fullmatch(clip.rpartition("/")[2])}

    def _replace(self, name: str, group: str, paths: list[Path]) -> None:
        before = self._cut(name)
        after = [path.as_posix() for path in paths]
        if others := {self._groups[clip] for clip in before} - {group} if paths else set():
            raise DatasetError(
                f"Videos must have names of their own. Received: '{name}' from '{group}', and clips of that name from "
                f"'{others.pop()}' in '{self.folder}'. Rename one of the videos."
            )
        # The lines come first: a line without a clip does no harm, a clip without its line would be its own group.
        self.set_groups({**dict.fromkeys(before, None), **dict.fromkeys(after, group)})
        for clip in before - set(after):
            (self.folder / clip).unlink(missing_ok=True)


def _check(marks: list[Mark], duration_s: float | None, video: Path) -> None:
    if fault := fault_in(marks, duration_s):
        raise DatasetError(f"{fault}, of '{video}'. Correct it where it was labelled.")


def action_folder(label: str) -> str:
    """The name of an action's folder.

    Raises:
        DatasetError: A folder of that name would be passed over, or stand in the place of `groups.csv`.
    """
    name = folder_of(label)
    if is_leftover(name) or name == GROUPS_FILE:
        raise DatasetError(f"An action's name must be one that a folder of clips may have. Received: '{label}'")
    return name


def _read(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8-sig", newline="") as content:
        rows = list(csv.reader(content))
    if not rows or [cell.strip().lower() for cell in rows[0]] != ["clip", "group"]:
        raise DatasetError(
            f"'{file}' must have the columns clip,group and no others to be extended. Received: "
            f"{','.join(rows[0]) if rows else 'nothing'}"
        )
    return {row[0]: row[1] for row in rows[1:] if len(row) == 2}
