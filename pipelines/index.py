"""index: artifacts/videos ▸ artifacts/index.parquet, one row per clip with its group and split; reports/dataset."""

import logging

import pandas as pd

from actreel.base.console import exit_cleanly
from actreel.base.kept_warnings import keeping_warnings
from actreel.base.places import DATA_WARNINGS, DATASET, INDEX, INGEST_WARNINGS, VIDEOS
from actreel.config import load_params
from actreel.dataset.describe import by_action, by_group
from actreel.dataset.records import index_videos, write_index
from actreel.dataset.splits import assign_splits

log = logging.getLogger(__name__)


def main() -> None:
    """Reads the properties of every clip, and assigns groups to train, val and test."""
    params = load_params()
    with keeping_warnings("index", DATA_WARNINGS, earlier=INGEST_WARNINGS):
        index = index_videos(VIDEOS, params.dataset.group_pattern, params.dataset.own_folder)
        index["split"] = assign_splits(index, params.split)
    write_index(index, INDEX)
    describe(index)


def describe(index: pd.DataFrame) -> None:
    """Writes tables of actions and groups, and a plot of durations."""
    # Imported here: each worker process imports this file too, and needs no Matplotlib.
    from actreel.dataset import plots

    DATASET.mkdir(parents=True, exist_ok=True)
    actions = by_action(index)
    actions.to_csv(DATASET / "actions.csv", index=False)
    by_group(index).to_csv(DATASET / "groups.csv", index=False)
    plots.durations(index[index["error"] == ""]).savefig(DATASET / "durations.png")
    log.info(actions[["action", "clips", "groups", "train", "val", "test", "median_s"]].to_string(index=False))


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
