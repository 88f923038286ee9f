"""Tables that describe a dataset: clips by action and group, durations, sizes."""

from __future__ import annotations

import pandas as pd

from actreel.dataset.layout import SPLITS


def by_action(index: pd.DataFrame) -> pd.DataFrame:
    """One row per action, over its readable clips.

    Returns:
        `action`, `clips`, `groups`, clips in `train`, `val` and `test`, total `seconds`, `shortest_s`, `median_s`,
        `longest_s`, and the most common `frame_rates` and `sizes`.
    """
    readable = index[index["error"] == ""]
    by = readable.groupby("action")
    splits = pd.crosstab(readable["action"], readable["split"]).reindex(columns=SPLITS, fill_value=0)
    size = readable["width"].astype(str) + "x" + readable["height"].astype(str)
    table = pd.DataFrame(
        {
            "clips": by.size(),
            "groups": by["group"].nunique(),
            **{split: splits[split] for split in SPLITS},
            "seconds": by["duration_s"].sum().round(1),
            "shortest_s": by["duration_s"].min().round(2),
            "median_s": by["duration_s"].median().round(2),
            "longest_s": by["duration_s"].max().round(2),
            "frame_rates": by["fps"].agg(lambda rates: _listed(rates.round(2).astype(str))),
            "sizes": size.groupby(readable["action"]).agg(_listed),
        }
    )
    return table.reset_index()


def by_group(index: pd.DataFrame) -> pd.DataFrame:
    """Number of clips of each action (columns) in each group (rows), with the split of the group."""
    used = index[index["split"].isin(SPLITS)]
    table = pd.crosstab(used["group"], used["action"])
    table.insert(0, "split", used.groupby("group")["split"].agg(lambda splits: "+".join(sorted(set(splits)))))
    return table.reset_index()


def _listed(values: pd.Series, most: int = 3) -> str:
    """The most common values, as in `320x240, 160x120`."""
    common = values.value_counts().index.tolist()
    return ", ".join(common[:most]) + (f" and {len(common) - most} more" if len(common) > most else "")
