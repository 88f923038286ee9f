"""The index: one row a clip, in a parquet file that every later stage reads.

Columns: `clip` (path below the videos' folder, with '/'), `action`, `group`, `split`, `fps`, `num_frames` (that
decode), `header_frames` (that the file claims), `width`, `height` (pixels), `duration_s`, `codec`, `sha256`,
`fingerprint` (hashes of its frames, see `actreel.dataset.fingerprints`), `error` (why the clip cannot be read, else
empty).
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from actreel.dataset.fingerprints import probe_with_fingerprint
from actreel.dataset.groups import groups_of
from actreel.dataset.parallel import map_on_cores
from actreel.errors import MOST_NAMED, DatasetError, VideoError
from actreel.video.info import VideoInfo

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})

UNKNOWN = "_unknown"
"""The class folder whose clips show none of the actions."""

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")
LEFT_OUT = "left_out"
"""Split of the clips of actions that stand in too few groups to be both learned and tested."""
UNREADABLE = "unreadable"
"""Split of the clips that cannot be decoded."""

log = logging.getLogger(__name__)


def find_clips(videos: Path) -> list[Path]:
    """The video files below a folder of class folders, sorted and relative to it; hidden files are passed over."""
    return sorted(
        path.relative_to(videos)
        for path in videos.glob("*/**/*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(videos).parts)
    )


def index_videos(videos: Path, group_pattern: str | None = None) -> pd.DataFrame:
    """Probes every clip below a folder of class folders, on all cores.

    A clip that cannot be read gets a row too, with `error` set: the validate stage names it and stops. Of clips of one
    action with the same content, only the first is kept.

    Args:
        videos: The folder.
        group_pattern: How groups are found in the clips' paths; see `actreel.dataset.groups`.

    Returns:
        The index without its `split` column, sorted by clip.

    Raises:
        DatasetError: There are clips of fewer than 2 actions, or `groups.csv` is wrong.
    """
    clips = find_clips(videos)
    actions = sorted({clip.parts[0] for clip in clips} - {UNKNOWN})
    if len(actions) < 2:
        found = ", ".join(f"'{action}'" for action in actions) or "none"
        raise DatasetError(
            "a dataset must hold clips of at least 2 actions, one sub-folder an action. "
            f"Received: {found} in '{videos}'."
        )
    groups = groups_of(videos, clips, group_pattern)
    rows = map_on_cores(partial(_index_clip, videos), clips, label="index", on_crash=partial(_crashed_clip, videos))
    index = pd.DataFrame(rows)
    index.insert(2, "group", groups)
    return _without_twins(index)


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


def usable(index: pd.DataFrame) -> pd.DataFrame:
    """The rows whose frames are stored: of all splits, and of no known action, but not those left out or unreadable."""
    return index[~index["split"].isin([LEFT_OUT, UNREADABLE])]


def labels_of(index: pd.DataFrame) -> list[str]:
    """The actions that are learned, in the order of the model's outputs."""
    return sorted(index.loc[index["split"].isin(SPLITS), "action"].unique())


def data_version(index: pd.DataFrame) -> str:
    """A short name for exactly these clips in exactly these splits: 12 hexadecimal digits."""
    rows = index.sort_values("clip")[["clip", "sha256", "group", "split"]]
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()[:12]


def _without_twins(index: pd.DataFrame) -> pd.DataFrame:
    """Keeps one of the clips with the same content in the same action; across actions they are the gate's to refuse."""
    readable = index["error"] == ""
    twin = index[readable].duplicated(["action", "sha256"]).reindex(index.index, fill_value=False)
    if not twin.any():
        return index
    first = index[readable & ~twin]
    merged = index[twin].merge(first, on=["action", "sha256"], suffixes=("", "_kept"))
    pairs = [f"'{clip}' is '{kept}'" for clip, kept in zip(merged["clip"], merged["clip_kept"], strict=True)]
    more = f", and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
    log.warning(
        f"{len(pairs)} clips repeat another of their action and are left out: {', '.join(pairs[:MOST_NAMED])}{more}"
    )
    return index[~twin].reset_index(drop=True)


def _index_clip(videos: Path, clip: Path) -> dict[str, Any]:
    try:
        info, fingerprint = probe_with_fingerprint(videos / clip)
        return {**_identity(videos, clip), **vars(info), "fingerprint": fingerprint, "error": ""}
    except VideoError as error:
        return _unreadable(videos, clip, str(error))


def _crashed_clip(videos: Path, clip: Path) -> dict[str, Any]:
    return _unreadable(
        videos,
        clip,
        f"a clip must be decoded without a crash. Received: '{videos / clip}', which kills the decoder's process. "
        "Replace or remove it.",
    )


def _unreadable(videos: Path, clip: Path, error: str) -> dict[str, Any]:
    nothing = VideoInfo(fps=0.0, num_frames=0, header_frames=0, width=0, height=0, duration_s=0.0, codec="")
    return {**_identity(videos, clip), **vars(nothing), "fingerprint": "", "error": error}


def _identity(videos: Path, clip: Path) -> dict[str, Any]:
    with (videos / clip).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"clip": clip.as_posix(), "action": clip.parts[0], "sha256": digest}
