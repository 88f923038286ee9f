"""Trains with a strategy, in a process of its own: `python -m tests.training.worker FOLDER STRATEGY NAME`."""

import logging
import sys
from pathlib import Path

import numpy as np

from actreel.quiet_keras import tf
from actreel.training.features import StoredFeatures
from actreel.training.train import train
from tests.training.test_strategies import LABELS, MODEL, ROWS, params_of

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    folder, strategy, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if strategy == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    fitted, curve = train(MODEL, params_of(strategy=strategy), StoredFeatures(folder / "features"), ROWS, LABELS)
    np.savez(folder / f"{name}.npz", *fitted.get_weights(), val_loss=curve["val_loss"])
