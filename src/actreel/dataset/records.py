"""The index: one row per clip, in a Parquet file that every later stage reads.

Columns: `clip` (path relative to the folder of videos, with '/'), `action`, `group`, `folder_split` (the split whose
folder the clip came in, or empty; see `actreel.dataset.layout`), `split`, `fps`, `num_frames`
(frames that decode), `header_frames` (frames according to the file's header), `width`, `height` (pixels), `duration_s`,
`codec`, `sha256`, `fingerprint` (hashes of its frames, see `actreel.dataset.fingerprints`), `error` (why the clip
cannot be read, or empty). A clip of signals without a video has samples in place of frames, a size of 0 and no
fingerprint.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from actreel.base.atomic import written_aside
from actreel.base.code_digest import code_digest
from actreel.base.faults import reading
from actreel.config import SIGNALS
from actreel.dataset.cluster import map_clips
from actreel.dataset.copies import join_copies, join_recordings
from actreel.dataset.fingerprints import probe_with_fingerprint
from actreel.dataset.folder import read_folder
from actreel.dataset.groups import groups_of
from actreel.dataset.layout import SPLITS, action_of, check_actions, split_folders, split_of
from actreel.errors import DatasetError, FileError, VideoError
from actreel.video.endings import is_signal
from actreel.video.info import VideoInfo
from actreel.video.signals import describe_signal, signal_beside

LEFT_OUT = "left_out"
"""Split of the clips that are in neither official list."""
UNREADABLE = "unreadable"
"""Split of the clips that cannot be decoded."""

log = logging.getLogger(__name__)


def find_clips(videos: Path) -> list[Path]:
    """The clips in a folder of class folders, sorted and relative to it."""
    return read_folder(videos).clips


def index_videos(
    videos: Path, group_pattern: str | None = None, source: Path | None = None, *, join: bool = True
) -> pd.DataFrame:
    """Reads the properties of every clip in a folder of class folders, on all cores or on a cluster; see `map_clips`.

    A clip that cannot be read gets a row with `error` set; the validate stage names it and stops. If several clips of
    one action have the same content, one is kept, and their groups become one; so do those of clips that are the same
    recording, encoded again; see `actreel.dataset.copies`.

    Args:
        videos: The folder.
        group_pattern: Regular expression that finds the group in a clip's path; see `actreel.dataset.groups`.
        source: The user's folder that `videos` was filled from, for messages; None: `videos` itself.
        join: Whether to join the groups of copies and to leave copies out.

    Returns:
        The index without the column `split`, sorted by clip. Without `join`, it has a column `small_frames` too; see
        `actreel.dataset.fingerprints`.

    Raises:
        DatasetError: There are fewer than 2 actions, or `groups.csv` is wrong.
        FileError: The folder is missing.
    """
    if not videos.is_dir():
        raise FileError(f"'{videos}' is missing. Make it again with: dvc repro ingest")
    clips = find_clips(videos)
    folders = split_folders(clips)
    check_actions(clips, folders, source or videos)
    action_of_clip = [action_of(clip, folders) for clip in clips]
    groups = groups_of(videos, clips, group_pattern, source)
    there = videos.absolute()
    rows = map_clips(
        partial(_index_clip, there),
        clips,
        label="index",
        code=_index_code,
        videos=[there / clip for clip in clips],
        on_crash=partial(_crashed_clip, there),
    )
    index = pd.DataFrame(rows)
    # The index is the same wherever the project lies.
    index["error"] = index["error"].str.replace(str(there), str(videos), regex=False)
    index.insert(1, "action", action_of_clip)
    index.insert(2, "group", groups)
    index.insert(3, "folder_split", [split_of(clip, folders) for clip in clips])
    return join_recordings(join_copies(index)).drop(columns="small_frames") if join else index


def write_index(index: pd.DataFrame, path: Path) -> None:
    """Writes the index completely or not at all."""
    with written_aside(path) as aside:
        index.to_parquet(aside, index=False)


def read_index(path: Path) -> pd.DataFrame:
    """Reads the index; the docstring of this module lists the columns.

    Raises:
        FileError: The file is missing or damaged.
    """
    with reading(path, "Make it again with: dvc repro index"):
        return pd.read_parquet(path)


def clips_of(index: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split, numbered from 0."""
    return index[index["split"] == split].reset_index(drop=True)


def usable(index: pd.DataFrame) -> pd.DataFrame:
    """The rows whose frames are stored: train, val, test and `_unknown`, but not left-out or unreadable clips."""
    return index[~index["split"].isin([LEFT_OUT, UNREADABLE])]


def labels_of(index: pd.DataFrame) -> list[str]:
    """The actions that the model is trained on, in the order of its outputs."""
    return sorted(index.loc[index["split"].isin(SPLITS), "action"].unique())


def data_version(index: pd.DataFrame) -> str:
    """A digest of these clips and their groups and splits: 12 hexadecimal digits."""
    rows = index.sort_values("clip")[["clip", "sha256", "group", "split"]]
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()[:12]


def check_pictures(index: pd.DataFrame, encoder: str) -> None:
    """Checks that the clips have what an encoder takes.

    Args:
        index: Rows with `clip`, of clips that can be read.
        encoder: As `model.encoder`.

    Raises:
        DatasetError: Clips are signals without a video, and the encoder needs one.
    """
    alone = [clip for clip in index["clip"] if is_signal(Path(clip))]
    if alone and encoder != SIGNALS:
        raise DatasetError(
            f"clips without a video have signals only, which model.encoder must take. Received: '{alone[0]}' with "
            f"encoder '{encoder}'. Try: dvc exp run -S model.encoder={SIGNALS} -S model.head=lstm"
        )


def _index_code() -> str:
    return code_digest("dataset", "video", packages=("av", "numpy", "opencv-python-headless"))


def _index_clip(videos: Path, clip: Path) -> dict[str, Any]:
    try:
        if is_signal(clip):
            unseen = {"fingerprint": "", "small_frames": b""}
            return {**_identity(videos, clip), **vars(describe_signal(videos / clip)), **unseen, "error": ""}
        info, fingerprint, small = probe_with_fingerprint(videos / clip)
        seen = {"fingerprint": fingerprint, "small_frames": small}
        return {**_identity(videos, clip), **vars(info), **seen, "error": ""}
    except VideoError as error:
        return _unreadable(videos, clip, str(error))


def _crashed_clip(videos: Path, clip: Path) -> dict[str, Any]:
    return _unreadable(
        videos,
        clip,
        f"a clip must be decoded without a crash. Received: '{videos / clip}', which crashes the decoder. "
        "Replace or remove it.",
    )


def _unreadable(videos: Path, clip: Path, error: str) -> dict[str, Any]:
    nothing = VideoInfo(fps=0.0, num_frames=0, header_frames=0, width=0, height=0, duration_s=0.0, codec="")
    return {**_identity(videos, clip), **vars(nothing), "fingerprint": "", "small_frames": b"", "error": error}


def _identity(videos: Path, clip: Path) -> dict[str, Any]:
    with (videos / clip).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if (signals := signal_beside(videos / clip)) is not None:  # another recording of sensors is another clip
        digest = hashlib.sha256(digest.encode() + signals.read_bytes()).hexdigest()
    return {"clip": clip.as_posix(), "sha256": digest}
