"""Copies of a clip under other names, and recordings that were encoded again: their groups become one.

File managers and downloads leave `clip - Copy.avi` and `clip (1).avi`. No group can be read from such a name, so the
copy would form a group of its own, and the same video could be in both training and test.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.dataset.duplicates import same_recordings
from actreel.errors import listed_names

log = logging.getLogger(__name__)


def join_copies(index: pd.DataFrame, *, drop: bool = True) -> pd.DataFrame:
    """Joins the groups that contain the same video, and keeps one clip of each content and action.

    Args:
        index: Rows with `clip`, `action`, `group`, `sha256` and `error`; the group of a clip whose group is unknown is
            the clip's path.
        drop: Whether the other copies are left out.

    Returns:
        The index without the other copies, or with all rows, in the same order. Of several copies, one whose group is
        known stays, and of these the one with the shortest name. The same content in two actions stays in both: the
        validation names it and fails.
    """
    readable = index["error"] == ""
    copied = readable & index[readable].duplicated("sha256", keep=False).reindex(index.index, fill_value=False)
    if not copied.any():
        return index
    known = index["group"] != index["clip"]
    contents = np.unique(index.loc[copied, "sha256"].to_numpy(str), return_inverse=True)[1]
    joined = index.assign(group=_joined(index, np.flatnonzero(copied), contents))
    if not drop:
        return joined
    # The first of each content and action stays: clips with a known group first, and then those with the shortest
    # names, since what file managers and programs name copies is longer, and then what lies in fewest folders.
    lengths, depths = joined["clip"].str.rpartition("/")[2].str.len(), joined["clip"].str.count("/")
    order = joined.assign(unknown=~known, length=lengths, depth=depths)[copied]
    order = order.sort_values(["unknown", "length", "depth", "clip"])
    dropped = order.index[order.duplicated(["action", "sha256"])]
    if len(dropped):
        kept = order.drop(dropped)
        pairs = joined.loc[dropped].merge(kept, on=["action", "sha256"], suffixes=("", "_kept")).sort_values("clip")
        names = zip(pairs["clip"], pairs["clip_kept"], strict=True)
        named = [f"'{clip}' is a copy of '{original}'" for clip, original in names]
        listed = listed_names(named, quote="")
        log.warning(f"{len(named)} clips duplicate another clip of their action and are ignored: {listed}")
    return joined.drop(dropped).reset_index(drop=True)


def join_recordings(index: pd.DataFrame) -> pd.DataFrame:
    """Joins the groups that contain the same recording, encoded or resized again. All clips stay.

    Args:
        index: Rows with `clip`, `group`, `fingerprint` and `error`.

    Returns:
        The index with fewer groups.
    """
    readable = np.flatnonzero(index["error"] == "")
    pairs = readable[same_recordings(index.iloc[readable])]
    groups, clips = index["group"].to_numpy(), index["clip"].to_numpy()
    pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
    if not len(pairs):
        return index
    named = [f"'{clips[one]}' and '{clips[other]}'" for one, other in pairs]
    log.warning(
        f"{len(named)} pairs of clips are the same recording, encoded again, so their groups count as one: "
        f"{listed_names(named, quote='')}"
    )
    return index.assign(group=_joined(index, pairs.ravel(), np.repeat(np.arange(len(pairs)), 2)))


def _joined(index: pd.DataFrame, rows: NDArray[np.int64], content_of: NDArray[np.int64]) -> pd.Series[str]:
    """Each clip's group, once the groups that share content have one name: the first known name among them.

    Args:
        index: Rows with `clip` and `group`.
        rows: Positions of rows that share content, (N,).
        content_of: The number of the content that each of them has, (N,).
    """
    # Imported here: every stage that reads the index, and each of its worker processes, imports this file.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    known = index["group"] != index["clip"]
    names, group_of = np.unique(index["group"].to_numpy(str), return_inverse=True)
    # A graph whose nodes are groups and contents; an edge says that the group has the content.
    edges = (group_of[rows], len(names) + content_of)
    size = len(names) + content_of.max() + 1
    graph = coo_array((np.ones(len(content_of)), edges), shape=(size, size))
    part_of = connected_components(graph, directed=False)[1][: len(names)]
    is_known = np.isin(names, index.loc[known, "group"].unique())
    renamed, merged = names.astype(object), []
    for part in np.flatnonzero(np.bincount(part_of) > 1):
        members = names[part_of == part]
        of_known = members[is_known[part_of == part]]
        renamed[part_of == part] = (of_known if len(of_known) else members)[0]
        if len(of_known) > 1:
            merged.append(" = ".join(f"'{name}'" for name in of_known))
    if merged:
        log.warning(f"groups that contain the same video count as one group: {listed_names(merged, quote='')}")
    return pd.Series(renamed[group_of], index=index.index, dtype="str")
