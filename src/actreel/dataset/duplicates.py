"""Near-duplicates: the same footage in two splits, cut, resized or re-encoded, which sha256 cannot detect."""

from __future__ import annotations

import numpy as np
import pandas as pd

from actreel.dataset.fingerprints import FRAMES
from actreel.dataset.layout import SPLITS


def near_duplicates(index: pd.DataFrame, bits: int) -> pd.DataFrame:
    """Pairs of clips in different splits whose fingerprints are nearly the same.

    Args:
        index: Rows with `clip`, `split` and `fingerprint`.
        bits: The largest mean distance between the 64-bit hashes of the frames.

    Returns:
        One row per pair: `clip`, `split`, `other`, `other_split`, `bits`; most similar pairs first.
    """
    used = index[index["split"].isin(SPLITS)].sort_values("clip")
    content = bytes.fromhex("".join(used["fingerprint"]))
    hashes = np.frombuffer(content, dtype=np.uint64).reshape(len(used), FRAMES)
    clips, splits = used["clip"].to_numpy(), used["split"].to_numpy()
    pairs = []
    for row in range(len(used)):
        distance = np.bitwise_count(hashes[row] ^ hashes[row + 1 :]).mean(axis=1)
        for offset in np.flatnonzero((distance <= bits) & (splits[row + 1 :] != splits[row])):
            other = row + 1 + offset
            pairs.append((clips[row], splits[row], clips[other], splits[other], float(distance[offset])))
    table = pd.DataFrame(pairs, columns=["clip", "split", "other", "other_split", "bits"])
    return table.sort_values("bits", kind="stable", ignore_index=True)
