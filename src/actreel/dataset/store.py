"""Stores: one array a clip (its frames, or their features), kept in a few large .npy shards read by memory maps.

DVC is slow on many small files, so up to 256 clips of one action share a shard. A shard's name holds a digest of what
it was made with and of its clips' contents, and it is renamed into place when complete, so interrupted work continues
where it stopped. The manifest holds a checksum of each: a shard that was damaged since is made again.

Frames take 3 MB a clip at 224 pixels, so they are kept only where training reads them again and again. Otherwise the
store names its clips, and whoever asks for one decodes the video.
"""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.atomic import LONGEST_NAME, written_aside
from actreel.base.code_digest import code_digest
from actreel.base.cores import num_cores
from actreel.base.faults import reading
from actreel.base.kept_warnings import REPAIRED
from actreel.base.places import VIDEOS
from actreel.config import ClipSpec, TrackSpec
from actreel.dataset.cluster import map_clips
from actreel.dataset.shards import finished_arrays, intact, open_shard, release, write_shard
from actreel.errors import DatasetError, FileError
from actreel.video.clips import load_clip
from actreel.video.decode import NO_PIXELS
from actreel.video.endings import is_signal
from actreel.video.tracks import load_track

log = logging.getLogger(__name__)

SHARD_CLIPS = 256
_MANIFEST = "clips.json"

Make = Callable[[Sequence[str]], Iterator[NDArray[Any]]]
"""Gives the arrays of the named clips, in their order."""


def extract_clips(index: pd.DataFrame, videos: Path, target: Path, spec: ClipSpec, *, keep: bool = True) -> None:
    """Stores `load_clip` of every row, on all cores or on a cluster, picking up after an interruption.

    Args:
        index: Rows with `clip`, `action` and `sha256`, all readable.
        videos: The folder that `clip` is relative to.
        target: The store; shards that belong to other clips or settings are removed.
        spec: Clip settings.
        keep: Whether to store frames; otherwise `StoredClips` decodes a video whenever its frames are asked for.

    Raises:
        VideoError: A clip cannot be read.
        DatasetError: There is no clip to store, or a worker died.
    """
    if index.empty:
        raise DatasetError("There are no clips to extract: at least 1 clip must be readable. Run: dvc repro validate")

    def load(clips: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
        paths = [(videos / clip).absolute() for clip in clips]
        return map_clips(partial(load_clip, spec=spec), paths, label="extract", code=video_code, videos=paths)

    made_with = {"clip": spec.model_dump(), "code": video_code()}
    if keep:
        write_store(index, target, made_with, load)
    else:
        write_store(index.iloc[:0], target, made_with, load, decoded=index["clip"].tolist())


def video_code() -> str:
    """Digests what decodes and resizes frames: the room `video`, with PyAV and OpenCV."""
    return code_digest("video", packages=("av", "opencv-python-headless"))


def write_store(
    index: pd.DataFrame,
    target: Path,
    made_with: Mapping[str, Any],
    make: Make,
    decoded: Sequence[str] = (),
) -> None:
    """Brings a store up to date with the index, making only what is missing or damaged.

    Args:
        index: Rows with `clip`, `action` and `sha256`.
        target: The store; shards that belong to other clips or settings are removed.
        made_with: All that the arrays depend on besides the clips' contents, in plain values.
        make: As `Make`; called at most once.
        decoded: Clips that the store names without keeping their arrays.
    """
    write_joined_store(index, target, made_with, [(made_with, make)], decoded)


def write_joined_store(
    index: pd.DataFrame,
    target: Path,
    made_with: Mapping[str, Any],
    arrays: Sequence[tuple[Mapping[str, Any], Make]],
    decoded: Sequence[str] = (),
) -> None:
    """As `write_store`, with several arrays a clip, each made and kept by itself.

    Args:
        index: As for `write_store`.
        target: As for `write_store`; an array that is there already is kept, whatever others it was with.
        made_with: All that the arrays together depend on.
        arrays: For each of a clip's arrays, what it depends on, and what makes it.
        decoded: As for `write_store`.
    """
    target.mkdir(parents=True, exist_ok=True)
    known = _checksums(target)
    shards: dict[str, list[str]] = {}
    checksums: dict[str, int] = {}
    for depends, make in arrays:
        planned = dict(_plan(index, depends))
        shards |= planned
        checksums |= _write_shards(target, planned, known, make)
    manifest = {"made_with": made_with, "shards": shards, "decoded": list(decoded), "checksums": checksums}
    with written_aside(target / _MANIFEST) as aside:
        aside.write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    for file in target.iterdir():
        if file.name != _MANIFEST and file.name not in shards:
            file.unlink()


def _write_shards(
    target: Path, shards: Mapping[str, list[str]], known: Mapping[str, int], make: Make
) -> dict[str, int]:
    """Makes the shards that are missing or damaged; the checksums of all."""
    checksums = {
        name: checksum
        for name, clips in shards.items()
        if (checksum := intact(target / name, len(clips), known.get(name))) is not None
    }
    missing = {name: clips for name, clips in shards.items() if name not in checksums}
    if missing:
        finished = {name: finished_arrays(target / name) for name in missing}
        arrays = make([clip for name, clips in missing.items() for clip in clips[finished[name] :]])
        for name, clips in missing.items():
            checksums[name] = write_shard(target / name, islice(arrays, len(clips) - finished[name]), len(clips))
        next(arrays, None)  # lets `make` close its progress bar and its workers
    return checksums


class Store(ABC):
    """Reads a store of one array a clip, or of several that belong together.

    Attributes:
        made_with: All that the arrays depend on besides the clips' contents.
        spec: The clip settings among it.
        clips: Names as in the index.
        stage: The stage that makes such a store, for messages.
        holds_features: Whether the arrays are features of a frozen encoder, and not frames.
    """

    stage: ClassVar[str]
    holds_features: ClassVar[bool]

    def __init__(self, path: Path) -> None:
        """Opens a store without reading its arrays.

        Raises:
            FileError: A file of the store is missing or damaged.
        """
        remedy = f"Make it again with: dvc repro {self.stage}"
        with reading(path / _MANIFEST, remedy):
            manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
            self.made_with: dict[str, Any] = manifest["made_with"]
            self.spec = ClipSpec.model_validate(self.made_with["clip"])
            shards: dict[str, list[str]] = manifest["shards"]
            self._unkept = frozenset(manifest.get("decoded", ()))
        self._shards = []
        self._positions: dict[str, list[tuple[int, int]]] = {}  # one for each of a clip's arrays, in their order
        for number, (name, clips) in enumerate(shards.items()):
            with reading(path / name, remedy):
                self._shards.append(open_shard(path / name, len(clips)))
            for row, clip in enumerate(clips):
                self._positions.setdefault(clip, []).append((number, row))
        self.clips = [*self._positions, *sorted(self._unkept)]

    def __len__(self) -> int:
        return len(self.clips)

    def only(self, clips: Iterable[str]) -> Self:
        """The same store restricted to these clips; reading any other raises KeyError."""
        kept = copy(self)
        kept.clips = list(dict.fromkeys(clips))
        kept._unkept = self._unkept.intersection(kept.clips)
        kept._positions = {clip: self._positions[clip] for clip in kept.clips if clip not in kept._unkept}
        return kept

    def _rows(self, clip: str) -> list[NDArray[Any]]:
        """A clip's arrays, still in the memory map."""
        return [self._shards[shard][position] for shard, position in self._positions[clip]]

    def _release(self, clips: Iterable[str]) -> None:
        """Gives back the memory that `_rows` of these clips took, once they are copied."""
        for number in {shard for clip in clips for shard, _ in self._positions.get(clip, ())}:
            release(self._shards[number])

    @property
    @abstractmethod
    def frames(self) -> StoredClips | None:
        """The store of the clips' frames; None if it is not available."""

    @property
    def track(self) -> TrackSpec | None:
        """What of each clip's array is its track: the last numbers of each step. None if there is none in it."""
        return TrackSpec.model_validate(self.made_with["track"]) if "track" in self.made_with else None

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of what `take` gives for one clip."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the last axis of `input_shape`, what comes from each of a clip's arrays."""
        return self.input_shape[-1:]

    @abstractmethod
    def take(self, clips: Sequence[str], mirrored: Sequence[bool] | None = None) -> NDArray[Any]:
        """Reads clips by name, mirrored where `mirrored` says so: (len(clips), *input_shape)."""

    def batches(
        self, clips: Sequence[str], size: int, mirrored: Sequence[bool] | None = None
    ) -> Iterator[NDArray[Any]]:
        """Reads clips by name, `size` at a time, as `take` does: (B, *input_shape) each."""
        for start in range(0, len(clips), size):
            batch = slice(start, start + size)
            yield self.take(clips[batch], None if mirrored is None else mirrored[batch])


class StoredClips(Store):
    """Reads a store of frames: uint8 (T, H, W, 3) a clip, RGB.

    Args:
        path: The store.
        videos: The folder of videos, for clips whose frames are not kept.
    """

    stage = "extract"
    holds_features = False

    def __init__(self, path: Path, videos: Path = VIDEOS) -> None:
        super().__init__(path)
        self._videos = videos

    @property
    def frames(self) -> StoredClips:
        """This store."""
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(T, H, W, 3)."""
        return self.spec.shape

    def take(self, clips: Sequence[str], mirrored: Sequence[bool] | None = None) -> NDArray[np.uint8]:
        """Reads clips by name.

        Args:
            clips: Names.
            mirrored: For each, whether to flip it left to right; None flips no clip.

        Returns:
            uint8 (len(clips), T, H, W, 3), RGB; (len(clips), T, 0, 0, 3) if they have no pictures.

        Raises:
            VideoError: The frames of a clip are not kept, and its video cannot be read.
        """
        if not self.has_pictures:
            return np.empty((len(clips), self.spec.num_frames, *NO_PIXELS.shape), dtype=np.uint8)
        frames = np.empty((len(clips), *self.spec.shape), dtype=np.uint8)
        for position, row in enumerate(self._decoded(clips)):
            frames[position] = row[:, :, ::-1] if mirrored is not None and mirrored[position] else row
        self._release(clips)
        return frames

    def sampled_as(self, spec: ClipSpec) -> StoredClips:
        """The same clips with other settings: each is decoded when its frames are asked for."""
        if spec == self.spec:
            return self
        other = copy(self)
        other.spec, other.made_with = spec, {**self.made_with, "clip": spec.model_dump()}
        other._unkept, other._positions = frozenset(self.clips), {}
        return other

    @property
    def has_pictures(self) -> bool:
        """Whether the clips are videos, and not signals alone."""
        return not _any_signal(self._unkept)

    def video(self, clip: str) -> Path:
        """The video of a clip."""
        return self._videos / clip

    def tracks(self, clips: Sequence[str], spec: TrackSpec) -> NDArray[np.float32]:
        """What clips have beside their pictures, from their videos: float32 (len(clips), T, M).

        Raises:
            VideoError: A video cannot be read.
        """
        return np.stack([load_track(self._videos / clip, spec, self.spec.num_frames) for clip in clips])

    def _decoded(self, clips: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
        def frames_of(clip: str) -> NDArray[np.uint8]:
            return load_clip(self._videos / clip, self.spec) if clip in self._unkept else self._rows(clip)[0]

        if len(clips) == 1 or self._unkept.isdisjoint(clips):
            yield from map(frames_of, clips)
            return
        with ThreadPoolExecutor(num_cores()) as pool:  # FFmpeg decodes outside of Python's lock
            yield from pool.map(frames_of, clips)


@lru_cache(maxsize=8)  # every read of a clip asks this about all clips
def _any_signal(clips: frozenset[str]) -> bool:
    return any(is_signal(Path(clip)) for clip in clips)


def _plan(index: pd.DataFrame, made_with: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The shards that these clips belong in: file name and clips of each."""
    for action, rows in index.sort_values("clip").groupby("action"):
        for start in range(0, len(rows), SHARD_CLIPS):
            part = rows.iloc[start : start + SHARD_CLIPS]
            content = json.dumps([made_with, part["sha256"].tolist()], sort_keys=True)
            digest = hashlib.sha256(content.encode()).hexdigest()[:16]
            yield f"{_short(str(action))}-{start // SHARD_CLIPS:03d}-{digest}.npy", part["clip"].tolist()


def _short(action: str) -> str:
    """The action's name, or a digest of one that leaves no room for more in a file's name."""
    return action if len(action.encode()) <= LONGEST_NAME - 40 else hashlib.sha256(action.encode()).hexdigest()[:32]


def _checksums(store: Path) -> dict[str, int]:
    """The shards' checksums; empty where the store is new, from an earlier version, or its manifest damaged."""
    manifest = store / _MANIFEST
    if not manifest.exists():
        return {}
    try:
        with reading(manifest, "It is written again."):
            return dict(json.loads(manifest.read_text(encoding="utf-8")).get("checksums", {}))
    except FileError as error:
        log.warning(str(error), extra=REPAIRED)
        return {}
