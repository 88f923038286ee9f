"""index: artifacts/videos ▸ artifacts/index.parquet, one row per clip with its group and split; reports/dataset."""

import logging

import pandas as pd

from actreel.base.console import exit_cleanly
from actreel.base.kept_warnings import keeping_warnings
from actreel.base.places import DATA_WARNINGS, DATASET, INDEX, INGEST_WARNINGS, VIDEOS
from actreel.config import POSE, ClipSpec, load_params
from actreel.dataset.describe import by_action, by_group
from actreel.dataset.records import index_videos, write_index
from actreel.dataset.splits import assign_splits
from actreel.video.clips import load_clip

SAMPLE = ClipSpec(num_frames=8, height=96, width=128)

log = logging.getLogger(__name__)


def main() -> None:
    """Reads the properties of every clip, and assigns groups to train, val and test."""
    params = load_params()
    with keeping_warnings("index", DATA_WARNINGS, earlier=INGEST_WARNINGS):
        index = index_videos(VIDEOS, params.dataset.group_pattern, params.dataset.own_folder)
        index["split"] = assign_splits(index, params.split)
    write_index(index, INDEX)
    describe(index, frames=params.model.encoder != POSE)


def describe(index: pd.DataFrame, *, frames: bool) -> None:
    """Writes tables of actions and groups, and plots of durations and, with `frames`, of sample frames."""
    # Imported here: each worker process imports this file too, and needs no Matplotlib.
    from actreel.dataset import plots

    DATASET.mkdir(parents=True, exist_ok=True)
    actions = by_action(index)
    actions.to_csv(DATASET / "actions.csv", index=False)
    by_group(index).to_csv(DATASET / "groups.csv", index=False)
    readable = index[index["error"] == ""]
    plots.durations(readable).savefig(DATASET / "durations.png")
    if frames:
        firsts = readable[readable["width"] > 0].groupby("action")["clip"].first()
        samples = {str(action): load_clip(VIDEOS / clip, SAMPLE) for action, clip in firsts.items()}
        sheet = plots.contact_sheet(samples) if samples else plots.sentence("The clips are signals without pictures.")
    else:
        sheet = plots.sentence("No frames are kept: the model sees landmarks only (model.encoder: pose).")
    sheet.savefig(DATASET / "samples.png")
    log.info(actions[["action", "clips", "groups", "train", "val", "test", "median_s"]].to_string(index=False))


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
