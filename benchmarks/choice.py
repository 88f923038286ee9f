"""`model.head: auto` at UCF50's size: the choice among six probes, then the winner solved for all clips.

python -m benchmarks.choice [--clips 100 6650]

Features are random, around a mean for each action and one for each group of an action.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from actreel.config import ClipSpec, ModelParams, load_params
from actreel.dataset.store import write_store
from actreel.training.choice import choose_head
from actreel.training.features import StoredFeatures
from actreel.training.folds import Scored
from actreel.training.train import train

SPEC = ClipSpec(num_frames=20, height=224, width=224)
NETWORK = ModelParams(
    encoder="efficientnet_lite0", weights="imagenet", head="auto", motion="none", units=32, dropout=0.25
)
FEATURES = 1280
GROUPS = 25
PARTS = 400
"""Directions in which clips differ: an encoder's features are correlated."""


def write_features(folder: Path, clips: int) -> tuple[StoredFeatures, pd.DataFrame]:
    """Features of so many clips, of 12 actions for 100 clips and 50 for more."""
    rng = np.random.default_rng(0)
    actions = 12 if clips <= 100 else 50
    action, group = np.arange(clips) % actions, np.arange(clips) // actions % GROUPS
    names = [f"{number:05d}" for number in range(clips)]
    rows = pd.DataFrame({"clip": names, "sha256": names, "action": [f"action{each:02d}" for each in action]})
    rows["group"] = [f"group{each:02d}" for each in group]
    sizes = (1 + np.arange(PARTS)) ** -0.5
    mixing = rng.normal(size=(PARTS, FEATURES)) * sizes[:, None]
    of_action = rng.normal(size=(actions, PARTS)) * 0.3
    of_group = rng.normal(size=(actions, GROUPS, PARTS)) * 0.9

    def features(clip: int) -> np.ndarray:
        level = of_action[action[clip]] + of_group[action[clip], group[clip]] + rng.normal(size=PARTS) * 0.6
        frames = level + rng.normal(size=(SPEC.num_frames, PARTS)) * 0.5
        return (frames @ mixing + rng.normal(size=(SPEC.num_frames, FEATURES)) * 0.3).astype(np.float32)[None]

    made_with = {"clip": SPEC.model_dump(), "encoder": NETWORK.encoder}
    write_store(rows, folder, made_with, lambda wanted: (features(int(name)) for name in wanted))
    return StoredFeatures(folder), rows


def main() -> None:
    """Prints the seconds of the choice and of training the winner, in wall and in processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 6650])
    params = load_params().train
    for clips in parser.parse_args().clips:
        with tempfile.TemporaryDirectory() as scratch:
            store, rows = write_features(Path(scratch) / "features", clips)
            splits, labels = {"train": rows, "val": rows[:0]}, sorted(rows["action"].unique())
            scored: Scored = {}
            wall, busy = time.perf_counter(), time.process_time()
            network, table = choose_head(NETWORK, params, store, splits, labels, scored)
            print(f"choice among six for {clips} clips of {len(labels)} actions: {_since(wall, busy)}", flush=True)
            print(table.round(3).to_string())
            wall, busy = time.perf_counter(), time.process_time()
            _, curve = train(network, params, store, splits, labels, scored=scored)
            print(f"then {network.head} for all clips, {len(curve)} penalties: {_since(wall, busy)}", flush=True)


def _since(wall: float, busy: float) -> str:
    return f"{time.perf_counter() - wall:.0f} s ({time.process_time() - busy:.0f} s of processors)"


if __name__ == "__main__":
    main()
