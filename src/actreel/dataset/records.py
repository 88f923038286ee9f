"""The index: one row a clip, in a parquet file that every later stage reads.

Columns: `clip` (path below the videos' folder, with '/'), `action`, `group`, `split`, `fps`, `num_frames` (that
decode), `header_frames` (that the file claims), `width`, `height` (pixels), `duration_s`, `codec`, `sha256`, `error`
(why the clip cannot be read, else empty).
"""

from __future__ import annotations

import hashlib
import logging
import re
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from actreel.dataset.cores import map_on_cores
from actreel.errors import DatasetError, VideoError
from actreel.video import probe

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})

UNKNOWN = "_unknown"
"""The class folder whose clips show none of the actions."""

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")
LEFT_OUT = "left_out"
"""Split of the clips of actions that stand in too few groups to be both learned and tested."""

log = logging.getLogger(__name__)

# UCF50 and UCF101: v_YoYo_g01_c02.avi is clip 2 of group 1 (one person, one background).
_UCF_NAME = re.compile(r"v_.+_g(?P<group>\d+)_c\d+", re.IGNORECASE)


def find_clips(videos: Path) -> list[Path]:
    """The video files below a folder of class folders, sorted and relative to it; hidden files are passed over."""
    return sorted(
        path.relative_to(videos)
        for path in videos.glob("*/**/*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(videos).parts)
    )


def group_of(clip: Path) -> str | None:
    """The group in a UCF-style name (`g01` in `v_YoYo_g01_c02.avi`), or None."""
    match = _UCF_NAME.fullmatch(clip.stem)
    return f"g{int(match['group']):02d}" if match else None


def index_videos(videos: Path) -> pd.DataFrame:
    """Probes every clip below a folder of class folders, on all cores.

    A clip that cannot be read gets a row too, with `error` set: the validate stage names it and stops.

    Returns:
        The index without its `split` column, sorted by clip.

    Raises:
        DatasetError: There are clips of fewer than 2 actions.
    """
    clips = find_clips(videos)
    actions = sorted({clip.parts[0] for clip in clips} - {UNKNOWN})
    if len(actions) < 2:
        found = ", ".join(f"'{action}'" for action in actions) or "none"
        raise DatasetError(
            "a dataset must hold clips of at least 2 actions, one sub-folder an action. "
            f"Received: {found} in '{videos}'."
        )
    ungrouped = [clip for clip in clips if group_of(clip) is None]
    if ungrouped:
        log.warning(
            f"{len(ungrouped)} of {len(clips)} clips are not named v_<Action>_gNN_cMM, so each is a group of its own "
            f"(first: '{ungrouped[0]}'). Where several show one person or scene, the test will flatter the model."
        )
    rows = map_on_cores(partial(_index_clip, videos), clips, label="index")
    return pd.DataFrame(rows)


def write_index(index: pd.DataFrame, path: Path) -> None:
    """Writes the index whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    index.to_parquet(aside, index=False)
    aside.replace(path)


def read_index(path: Path) -> pd.DataFrame:
    """Reads the index; the columns are those of this module's docstring."""
    return pd.read_parquet(path)


def clips_of(index: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split, numbered from 0."""
    return index[index["split"] == split].reset_index(drop=True)


def labels_of(index: pd.DataFrame) -> list[str]:
    """The actions that are learned, in the order of the model's outputs."""
    return sorted(index.loc[index["split"].isin(SPLITS), "action"].unique())


def data_version(index: pd.DataFrame) -> str:
    """A short name for exactly these clips in exactly these splits: 12 hexadecimal digits."""
    rows = index.sort_values("clip")[["clip", "sha256", "group", "split"]]
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()[:12]


def _index_clip(videos: Path, clip: Path) -> dict[str, Any]:
    path = videos / clip
    row: dict[str, Any] = {
        "clip": clip.as_posix(),
        "action": clip.parts[0],
        "group": group_of(clip) or clip.as_posix(),
    }
    with path.open("rb") as file:
        row["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        row.update(vars(probe(path)), error="")
    except VideoError as error:
        nothing = {"fps": 0.0, "num_frames": 0, "header_frames": 0, "width": 0, "height": 0}
        row.update(nothing, duration_s=0.0, codec="", error=str(error))
    return row
