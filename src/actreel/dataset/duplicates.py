"""Near-duplicates: the same footage cut, resized or re-encoded, which sha256 cannot detect."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.dataset.fingerprints import FRAMES, SMALL_FRAMES
from actreel.dataset.layout import SPLITS

SAME_RECORDING_BITS = 4
"""The largest mean distance between frames of one recording; docs/own-clips.md says what was measured with it."""
SAME_CHANGES = 0.9
"""The least correlation of what changes in the frames of one recording; measured in docs/own-clips.md too."""
SAME_PLACE_BITS = 10
"""The largest mean distance between frames that may show one place, in which nearly the same happens."""
LEAST_CHANGE = 1.0
"""Grey levels, root mean square, by which small frames change: below that it is noise."""
ROWS_AT_ONCE = 1024
"""Rows that are compared with all others in one matrix product, which bounds its memory."""


def near_duplicates(index: pd.DataFrame, bits: int) -> pd.DataFrame:
    """Pairs of clips in different splits whose fingerprints are nearly the same.

    Args:
        index: Rows with `clip`, `split` and `fingerprint`.
        bits: The largest mean distance between the 64-bit hashes of the frames.

    Returns:
        One row per pair: `clip`, `split`, `other`, `other_split`, `bits`; most similar pairs first.
    """
    used = index[index["split"].isin(SPLITS) & (index["fingerprint"] != "")].sort_values("clip")
    clips, splits = used["clip"].to_numpy(), used["split"].to_numpy()
    pairs = [
        (clips[row], splits[row], clips[other], splits[other], distance)
        for row, other, distance in _near_pairs(_hashes(used), bits)
        if splits[row] != splits[other]
    ]
    table = pd.DataFrame(pairs, columns=["clip", "split", "other", "other_split", "bits"])
    return table.sort_values("bits", kind="stable", ignore_index=True)


def same_recordings(index: pd.DataFrame) -> NDArray[np.int64]:
    """Pairs of clips that are one recording, encoded or resized again.

    Either their frames are nearly the same, and nearer to each other than those of either clip are among themselves: in
    front of a still camera clips of different people look alike too, and plain frames all have the same hash. Or the
    same happens at the same time before a similar background: what changes in their frames is nearly the same.

    Args:
        index: Rows with `fingerprint` and, where there are any, `small_frames`, all of clips that can be read.

    Returns:
        Positions of the two rows, (pairs, 2).
    """
    pictured = np.flatnonzero(index["fingerprint"] != "")
    if not len(pictured):
        return np.empty((0, 2), np.int64)
    seen = index.iloc[pictured]
    hashes = _hashes(seen)
    motion = np.bitwise_count(hashes ^ np.roll(hashes, 1, axis=1)).mean(axis=1)
    pairs = {
        (row, other)
        for row, other, distance in _near_pairs(hashes, SAME_RECORDING_BITS)
        if distance < min(motion[row], motion[other])
    }
    if "small_frames" in seen:
        pairs |= {
            (row, other)
            for row, other in _same_changes(seen)
            if np.bitwise_count(hashes[row] ^ hashes[other]).mean() <= SAME_PLACE_BITS
        }
    return pictured[np.array(sorted(pairs), np.int64).reshape(-1, 2)]


def _same_changes(index: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Two rows, the first before the second, whose frames change in the same way."""
    stored = np.frombuffer(b"".join(index["small_frames"]), np.uint8).reshape(len(index), SMALL_FRAMES, -1)
    frames = stored.astype(np.float32)
    changes = frames - frames.mean(axis=1, keepdims=True)  # without the background
    changes -= changes.mean(axis=2, keepdims=True)  # and without changes of the light
    size = np.sqrt(np.square(changes).mean(axis=(1, 2)))
    changing = np.flatnonzero(size >= LEAST_CHANGE)
    flat = changes[changing].reshape(len(changing), changes[0].size)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    for start in range(0, len(flat), ROWS_AT_ONCE):
        correlation = flat[start : start + ROWS_AT_ONCE] @ flat.T
        for first, second in np.argwhere(correlation >= SAME_CHANGES) + np.array([start, 0]):
            if first < second:
                yield int(changing[first]), int(changing[second])


def _hashes(index: pd.DataFrame) -> NDArray[np.uint64]:
    """The hashes of each clip's frames, (clips, FRAMES)."""
    return np.frombuffer(bytes.fromhex("".join(index["fingerprint"])), np.uint64).reshape(-1, FRAMES)


def _near_pairs(hashes: NDArray[np.uint64], bits: int) -> Iterator[tuple[int, int, float]]:
    """Two rows, the first before the second, and their mean distance, for all pairs that are at most `bits` apart."""
    for row in range(len(hashes)):
        distance = np.bitwise_count(hashes[row] ^ hashes[row + 1 :]).mean(axis=1)
        for offset in np.flatnonzero(distance <= bits):
            yield row, row + 1 + int(offset), float(distance[offset])
