"""Near-duplicates by hand-made fingerprints; tests/dataset/test_fingerprints.py finds them in real videos."""

import numpy as np
import pandas as pd

from actreel.dataset.duplicates import near_duplicates
from actreel.dataset.fingerprints import FRAMES


def fingerprint(*flipped: int) -> str:
    """A clip whose frames' hashes are all 0, but for so many bits in each."""
    return np.array([(1 << bits) - 1 for bits in flipped], dtype=np.uint64).tobytes().hex()


def index_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["clip", "split", "fingerprint"])


ALIKE = fingerprint(*[0] * FRAMES)


def test_the_distance_is_the_mean_over_the_frames() -> None:
    index = index_of(("a", "train", ALIKE), ("b", "test", fingerprint(6, *[0] * (FRAMES - 1))))
    (pair,) = near_duplicates(index, bits=64).itertuples(index=False)
    assert (pair.clip, pair.split, pair.other, pair.other_split) == ("a", "train", "b", "test")
    assert pair.bits == 6 / FRAMES


def test_the_limit_itself_still_counts() -> None:
    index = index_of(("a", "train", ALIKE), ("b", "test", fingerprint(*[4] * FRAMES)))
    assert len(near_duplicates(index, bits=4)) == 1
    assert len(near_duplicates(index, bits=3)) == 0


def test_one_split_may_hold_the_same_footage_twice() -> None:
    assert near_duplicates(index_of(("a", "train", ALIKE), ("b", "train", ALIKE)), bits=64).empty


def test_clips_outside_the_splits_do_not_count() -> None:
    index = index_of(("a", "train", ALIKE), ("b", "_unknown", ALIKE), ("c", "unreadable", ""))
    assert near_duplicates(index, bits=64).empty


def test_the_nearest_pair_comes_first() -> None:
    index = index_of(
        ("far", "test", fingerprint(*[3] * FRAMES)),
        ("near", "val", fingerprint(*[1] * FRAMES)),
        ("own", "train", ALIKE),
    )
    pairs = near_duplicates(index, bits=64)
    assert pairs["bits"].is_monotonic_increasing
    assert set(pairs.loc[0, ["clip", "other"]]) == {"near", "own"}
