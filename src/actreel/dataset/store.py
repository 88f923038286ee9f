"""Stored clips: frames kept losslessly in a few large .npy shards that are read through memory maps.

DVC is slow on many small files, so up to 256 clips of one action share a shard. A shard's name holds a digest of the
clip settings and of its clips' contents, and it is renamed into place when complete: a shard that is there is right,
and an interrupted extraction goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.clips import load_clip
from actreel.config import ClipSpec
from actreel.dataset.cores import map_on_cores
from actreel.errors import DatasetError

SHARD_CLIPS = 256
_MANIFEST = "clips.json"


def extract_clips(index: pd.DataFrame, videos: Path, target: Path, spec: ClipSpec) -> None:
    """Stores `load_clip` of every row, on all cores, picking up after an interruption.

    Args:
        index: Rows with `clip`, `action` and `sha256`, all readable.
        videos: The folder that `clip` is relative to.
        target: The store; shards that belong to other clips or settings are removed.
        spec: Clip settings.

    Raises:
        VideoError: A clip cannot be read any more.
        DatasetError: There is no clip to store, or a worker died.
    """
    if index.empty:
        raise DatasetError("at least 1 clip must be extracted. Received: 0.")
    target.mkdir(parents=True, exist_ok=True)
    shards = dict(_plan(index, spec))
    missing = {name: clips for name, clips in shards.items() if not (target / name).exists()}
    paths = [videos / clip for clips in missing.values() for clip in clips]
    frames = map_on_cores(partial(load_clip, spec=spec), paths, label="extract") if paths else iter(())
    for name, clips in missing.items():
        _write_shard(target / name, [next(frames) for _ in clips])
    manifest = {"clip": spec.model_dump(), "shards": shards}
    aside = target / f".{_MANIFEST}.part"
    aside.write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    aside.replace(target / _MANIFEST)
    for file in target.iterdir():
        if file.name != _MANIFEST and file.name not in shards:
            file.unlink()


class StoredClips:
    """Reads a store.

    Attributes:
        spec: The settings that the clips were made with.
        clips: Names as in the index, in the order of the rows.
    """

    def __init__(self, path: Path) -> None:
        """Opens a store without reading its frames.

        Raises:
            DatasetError: The folder holds no complete store.
        """
        try:
            manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DatasetError(
                f"a clip store must hold {_MANIFEST}. Received: '{path}' without it. Run: dvc repro extract"
            ) from error
        self.spec = ClipSpec.model_validate(manifest["clip"])
        shards: dict[str, list[str]] = manifest["shards"]
        self.clips = [clip for clips in shards.values() for clip in clips]
        self._shards = [np.load(path / name, mmap_mode="r") for name in shards]
        self._places = {
            clip: (shard, row) for shard, clips in enumerate(shards.values()) for row, clip in enumerate(clips)
        }

    def __len__(self) -> int:
        return len(self.clips)

    def take(self, clips: Sequence[str]) -> NDArray[np.uint8]:
        """Reads clips by name.

        Returns:
            uint8 (len(clips), T, H, W, 3), RGB.
        """
        frames = np.empty((len(clips), *self.spec.shape), dtype=np.uint8)
        for position, clip in enumerate(clips):
            shard, row = self._places[clip]
            frames[position] = self._shards[shard][row]
        return frames

    def batches(self, clips: Sequence[str], size: int) -> Iterator[NDArray[np.uint8]]:
        """Reads clips by name, `size` at a time: uint8 (B, T, H, W, 3) each."""
        for start in range(0, len(clips), size):
            yield self.take(clips[start : start + size])


def _plan(index: pd.DataFrame, spec: ClipSpec) -> Iterator[tuple[str, list[str]]]:
    """The shards that these clips belong in: file name and clips of each."""
    for action, rows in index.sort_values("clip").groupby("action"):
        for start in range(0, len(rows), SHARD_CLIPS):
            part = rows.iloc[start : start + SHARD_CLIPS]
            content = json.dumps([spec.model_dump(), part["sha256"].tolist()], sort_keys=True)
            digest = hashlib.sha256(content.encode()).hexdigest()[:16]
            yield f"{action}-{start // SHARD_CLIPS:03d}-{digest}.npy", part["clip"].tolist()


def _write_shard(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    aside = path.with_name(f".{path.name}.part")
    with aside.open("wb") as file:
        np.save(file, np.stack(frames))
    aside.replace(path)
