"""index: artifacts/videos ▸ artifacts/index.parquet, one row a clip with its group and split."""

from actreel.config import load_params
from actreel.dataset.records import index_videos, write_index
from actreel.dataset.splits import assign_splits
from actreel.errors import exit_cleanly
from pipelines.places import INDEX, VIDEOS


def main() -> None:
    """Probes every clip, and holds groups out for validation and test."""
    params = load_params()
    index = index_videos(VIDEOS, params.dataset.group_pattern)
    index["split"] = assign_splits(index, params.split)
    write_index(index, INDEX)
    print(index.groupby("split")[["clip", "group", "action"]].nunique().to_string())


if __name__ == "__main__":
    exit_cleanly(main)
