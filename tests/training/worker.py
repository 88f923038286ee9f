"""Trains with several strategies, each in a process of its own: `python -m tests.training.worker FOLDER JOBS`.

JOBS is a JSON list of jobs: the strategy, the name of the file for the weights, and the TF_CONFIG or "".
"""

import json
import logging
import os
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel.config import ClipSpec, ModelParams, TrainParams, load_params
from actreel.quiet_keras import tf
from actreel.training.features import StoredFeatures
from actreel.training.train import train

SPEC = ClipSpec(num_frames=4, height=8, width=8)
MODEL = ModelParams(encoder="efficientnet_lite0", weights="imagenet", head="mean", motion="none", units=4, dropout=0.0)
LABELS = ["a", "b"]
# The last batch of validation has one clip, too few for two devices.
INDEX = pd.DataFrame({"clip": [f"{place:02d}" for place in range(25)]})
INDEX["action"] = [LABELS[place % 2] for place in range(25)]
INDEX["sha256"] = INDEX["clip"]
ROWS = {"train": INDEX[:16], "val": INDEX[16:].reset_index(drop=True)}


def params_of(**changes: Any) -> TrainParams:
    small = {
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 0.02,
        "patience": 5,
        "mirror": True,
        "jitter": 1.0,
        "mixup": 0.2,
        "balance": True,
    }
    # Not by tests.conftest, which imports what no training needs.
    params = load_params(Path(__file__).parents[2] / "params.yaml").train
    return TrainParams.model_validate(params.model_dump() | small | changes)


def run(folder: Path, strategy: str, name: str, task: str) -> None:
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s")
    if task:
        os.environ["TF_CONFIG"] = task
    if strategy == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    fitted, curve = train(MODEL, params_of(strategy=strategy), StoredFeatures(folder / "features"), ROWS, LABELS)
    np.savez(folder / f"{name}.npz", *fitted.get_weights(), val_loss=curve["val_loss"])


if __name__ == "__main__":
    # Forks, so that TensorFlow is imported once: it has run nothing yet.
    fork = get_context("fork")
    processes = [
        fork.Process(target=run, args=(Path(sys.argv[1]), *arguments), daemon=True)
        for arguments in json.loads(sys.argv[2])
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))
