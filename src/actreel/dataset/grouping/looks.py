"""What the frames of clips show, in few numbers, and how alike the backgrounds of two clips are.

Two measures go together. The colours of a whole clip stay the same when the camera moves; the border of the frame shows
the place, and little of the person. Each is compared with what is usual in the folder, so that people before one wall
are not all alike: see `background_distances`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from actreel.dataset.fingerprints import FRAMES, frame_hash
from actreel.dataset.grouping.recordings import Recording, recording_of
from actreel.dataset.parallel import map_on_cores
from actreel.errors import VideoError
from actreel.video.clips import middle_frames
from actreel.video.container import opened
from actreel.video.decode import sample_frames
from actreel.video.opencv import cv2

HEIGHT, WIDTH = 48, 64
"""Pixels of the small frames that colours and borders are taken from."""
GRID = 8
"""Cells in a row and in a column of the frame; the outer ones are its border."""
_HASH = 8  # bytes
_BINS = (6, 10, 10)
_LAB = ((0, 100), (-40, 40), (-40, 40))  # beyond it, colours count as the strongest there are
_ROWS = 256  # clips whose distances from all others are computed at once


@dataclass(frozen=True)
class Look:
    """What a clip shows, and what its file says.

    Attributes:
        colours: float32 (600,), the square roots of the shares of its colours.
        borders: float32 (5, 28 * 3), CIE L*a*b* of the border of its first frame, three between, and its last.
        fingerprint: As in the index; see `actreel.dataset.fingerprints`.
        sha256: Of the file.
        recording: What the file says of its recording.
    """

    colours: NDArray[np.float32]
    borders: NDArray[np.float32]
    fingerprint: str
    sha256: str
    recording: Recording


def look_at(folder: Path, clips: Sequence[Path]) -> list[Look | str]:
    """Decodes each clip once, on all cores.

    Returns:
        For each clip its look, or why it cannot be read.
    """
    return list(map_on_cores(partial(_look, folder), clips, label="look", on_crash=partial(_crashed, folder)))


def background_distances(looks: Sequence[Look]) -> NDArray[np.float32]:
    """How far the backgrounds of each two clips are from each other, in terms of what is usual among these clips.

    1 is the usual distance: that from the clips to the median one of the others. It is the geometric mean of the
    distance in colours (Hellinger's) and of that between those two frames whose borders are nearest. A camera that
    turns away and back is thus at the same place.

    Returns:
        float32 (N, N), symmetric, 0 from a clip to itself.
    """
    colours = np.stack([look.colours for look in looks])
    apart = np.clip(1 - colours @ colours.T, 0, 1)
    distances = np.sqrt(_in_terms_of_usual(np.sqrt(apart)) * _in_terms_of_usual(_places(looks)))
    return np.asarray(distances, dtype=np.float32)


def _places(looks: Sequence[Look]) -> NDArray[np.float32]:
    """The mean difference of the two frames' borders that are nearest, (N, N)."""
    borders = np.stack([look.borders for look in looks])
    clips, frames, values = borders.shape
    nearest = np.empty((clips, clips), np.float32)
    for start in range(0, clips, _ROWS):
        rows = slice(start, start + _ROWS)
        part = borders[rows].reshape(-1, values)
        best = None
        for frame in range(frames):
            apart = cdist(part, borders[:, frame], "cityblock").reshape(-1, frames, clips).min(axis=1)
            best = apart if best is None else np.minimum(best, apart)
        nearest[rows] = best / values
    return np.minimum(nearest, nearest.T)


def _in_terms_of_usual(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divides each distance by the geometric mean of both clips' median distance from the others."""
    clips = len(distances)
    others = distances[~np.eye(clips, dtype=bool)].reshape(clips, -1)
    usual = np.sqrt(np.maximum(np.median(others, axis=1), 1e-6))
    scaled = distances / (usual[:, None] * usual[None])
    np.fill_diagonal(scaled, 0)
    return np.asarray(scaled, dtype=np.float32)


def _look(folder: Path, clip: Path) -> Look | str:
    try:
        packed, info = sample_frames(folder / clip, _frames, _small_frame)
        with opened(folder / clip) as video:
            tags = video.tags
        with (folder / clip).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except VideoError as error:
        return str(error)
    frames = packed[:, _HASH:].reshape(-1, HEIGHT, WIDTH, 3)
    lab = np.stack([cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for frame in frames])
    cells = lab.reshape(len(lab), GRID, HEIGHT // GRID, GRID, WIDTH // GRID, 3).mean(axis=(2, 4))
    inside = np.zeros((GRID, GRID), dtype=bool)
    inside[1:-1, 1:-1] = True
    return Look(
        colours=_colours(lab.reshape(-1, 3)),
        borders=cells[:, ~inside].reshape(len(lab), -1).astype(np.float32),
        fingerprint=packed[1 : 1 + FRAMES, :_HASH].tobytes().hex(),
        sha256=sha256,
        recording=recording_of(tags, info),
    )


def _frames(num_frames: int) -> NDArray[np.int64]:
    """The first frame, those of the fingerprint, and the last: consecutive pieces of one video meet at their ends."""
    return np.concatenate([[0], middle_frames(num_frames, FRAMES), [num_frames - 1]]).astype(np.int64)


def _small_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame's hash and its small picture, in one row of bytes."""
    small = cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.concatenate([frame_hash(frame), small.ravel()])


def _colours(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    inside = np.clip(lab, [low for low, _ in _LAB], [high for _, high in _LAB])
    counts, _ = np.histogramdd(inside, bins=_BINS, range=_LAB)
    return np.asarray(np.sqrt(counts.ravel() / counts.sum()), dtype=np.float32)


def _crashed(folder: Path, clip: Path) -> str:
    return f"A clip must be decoded without a crash. Received: '{folder / clip}'. Replace or remove it."
