"""What visitors of the service said, as a folder of clips to learn from."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.errors import DatasetError, VideoError
from actreel.feedback import CLIP_PREFIX, DATABASE, Feedback, FeedbackStore
from actreel.labelling.clips import ClipFolder, action_folder

log = logging.getLogger(__name__)


def export_dataset(folder: Path, target: Path, actions: Container[str] | None = None) -> int:
    """Writes the videos that visitors shared into a dataset folder.

    A whole video is copied to `<target>/<action>/feedback_<id>.<suffix>`, one with a corrected timeline is cut into
    `<target>/<action>/feedback_<id>_<start>_<end>.mp4`. `groups.csv` makes all clips of one film one group, also if
    several visitors sent it. What shows none of the model's actions goes to `_unknown`, the folder of clips to reject.

    Args:
        folder: The feedback folder.
        target: A new or empty folder, or an earlier export, to which new clips are added.
        actions: Of which actions; `_unknown` is one of them. None: of all.

    Returns:
        The number of clips that visitors' videos have in `target`.

    Raises:
        DatasetError: No feedback on these actions has a video, or the `groups.csv` in `target` cannot be extended.
    """
    if not (folder / DATABASE).is_file():
        raise DatasetError(
            f"There is no feedback to export in '{folder}'. "
            "Set ACTREEL_FEEDBACK_DIR to the same folder as for the service."
        )
    clips = ClipFolder(target)
    whole: dict[str, str | None] = {}
    count = 0
    for given, video in FeedbackStore(folder).all():
        feedback = given if actions is None else _only(given, actions)
        if feedback is None or video is None or not video.is_file():
            continue
        with video.open("rb") as content:
            group = CLIP_PREFIX + hashlib.file_digest(content, "sha256").hexdigest()[:16]
        # The visitor may have changed their mind since the last export.
        for earlier in target.glob(f"*/{CLIP_PREFIX}{video.name}"):
            earlier.unlink()
            whole[earlier.relative_to(target).as_posix()] = None
        try:
            if feedback.marks:
                _cut(clips, feedback, video, group)
                count += len(feedback.marks)
                continue
            copy = f"{action_folder(feedback.truth)}/{CLIP_PREFIX}{video.name}"
        except (DatasetError, VideoError) as error:  # one video that fails does not stop the others
            log.warning(f"feedback on '{video.name}' is left out: {error}")
            continue
        clips.drop(CLIP_PREFIX + video.stem)
        with written_aside(target / copy) as aside:
            shutil.copyfile(video, aside)
        whole[copy] = group
        count += 1
    if count == 0:
        raise DatasetError(
            f"An export must hold at least 1 video. Received: feedback in '{folder}', but no video that a visitor "
            f"shared{'' if actions is None else ' of these actions'}."
        )
    clips.set_groups(whole)
    return count


def _only(feedback: Feedback, actions: Container[str]) -> Feedback | None:
    """Feedback without what it says of other actions, or None if nothing is left."""
    if not feedback.marks:
        return feedback if feedback.truth in actions else None
    marks = tuple(mark for mark in feedback.marks if mark.label in actions)
    return replace(feedback, marks=marks) if marks else None


def _cut(clips: ClipFolder, feedback: Feedback, video: Path, group: str) -> None:
    name = CLIP_PREFIX + video.stem
    if not clips.holds(feedback.marks, name=name, group=group):
        clips.drop(name)
        clips.add(video, feedback.marks, name=name, group=group)
