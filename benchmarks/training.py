"""Training the paper's LRCN: `TimeDistributed` around every layer, fed from NumPy, against Actreel.

    python -m benchmarks.training [--clips 64] [--epochs 8]

Both train the same network on the same clips with the same batch size; the benchmark first checks that equal weights
give equal outputs.

The ratio varies, because the baseline's epochs end late: Keras feeds NumPy arrays through a tf.data pipeline with its
tuner on. The tuner sleeps twice as long each time, and a finished epoch waits for it to wake (2.55 s and 5.11 s after
the epoch's start, so an epoch of 2.6 s takes 5.1 s). Actreel's batches have no tuner.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel.config import ClipSpec, ModelParams, load_params, override
from actreel.dataset.store import StoredClips, write_store
from actreel.models import build_model
from actreel.models.layout import quick_to_fit
from actreel.quiet_keras import keras
from actreel.training.batches import steps_an_epoch, training_batches
from actreel.training.fitting import steps_at_once

SPEC = ClipSpec(num_frames=20, height=64, width=64)
PARAMS = ModelParams(encoder="small_cnn", weights="none", head="lstm", motion="none", units=32, dropout=0.25)
LABELS = ["a", "b", "c", "d"]


def layer_by_layer() -> Any:
    """The network as the LRCN project on UCF50 builds it."""
    layers = keras.layers
    model = keras.Sequential([keras.Input(SPEC.shape)])
    for stage, (filters, pool) in enumerate(((16, 4), (32, 4), (64, 2), (64, 2))):
        model.add(layers.TimeDistributed(layers.Conv2D(filters, 3, padding="same", activation="relu")))
        model.add(layers.TimeDistributed(layers.MaxPooling2D(pool)))
        if stage < 3:
            model.add(layers.TimeDistributed(layers.Dropout(0.25)))
    model.add(layers.TimeDistributed(layers.Flatten()))
    model.add(layers.LSTM(32))
    model.add(layers.Dense(len(LABELS), activation="softmax"))
    return model


def seconds_an_epoch(model: Any, fit: Callable[[int], Any], epochs: int, at_once: int = 1) -> float:
    model.compile(
        keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=at_once
    )
    fit(1)  # traces the graph
    start = time.perf_counter()
    fit(epochs)
    return (time.perf_counter() - start) / epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=4, help="default: 4, as in the project")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (options.clips, *SPEC.shape), dtype=np.uint8)
    rows = pd.DataFrame({"clip": [f"{number:05d}" for number in range(options.clips)]})
    rows["sha256"] = rows["clip"]
    rows["action"] = [LABELS[number % len(LABELS)] for number in range(options.clips)]
    targets = np.arange(options.clips) % len(LABELS)

    theirs, ours = layer_by_layer(), quick_to_fit(build_model(PARAMS, SPEC, len(LABELS)))
    theirs.set_weights(ours.get_weights())
    scaled = clips.astype(np.float32) / 255
    difference = float(np.abs(np.asarray(theirs(scaled[:8])) - np.asarray(ours(clips[:8]))).max())
    print(f"largest difference in probability with equal weights: {difference:.1e}")
    if difference > 1e-5:
        raise SystemExit("error: the two networks differ")

    with tempfile.TemporaryDirectory() as scratch:
        clip_of = dict(zip(rows["clip"], clips, strict=True))
        write_store(rows, Path(scratch), {"clip": SPEC.model_dump()}, lambda names: (clip_of[name] for name in names))
        store = StoredClips(Path(scratch))
        slow = seconds_an_epoch(
            theirs,
            lambda epochs: theirs.fit(scaled, targets, batch_size=options.batch_size, epochs=epochs, verbose=0),
            options.epochs,
        )
        flags = [f"train.batch_size={options.batch_size}", f"train.epochs={options.epochs}"]
        params = override(load_params(), flags).train
        steps = steps_an_epoch(params, len(rows))
        fast = seconds_an_epoch(
            ours,
            lambda epochs: ours.fit(
                training_batches(params, store, rows, LABELS),
                steps_per_epoch=steps,
                epochs=epochs,
                shuffle=False,
                verbose=0,
            ),
            options.epochs,
            steps_at_once(steps, options.epochs),
        )
    print(f"TimeDistributed around every layer, NumPy: {slow:.2f} s per epoch of {options.clips} clips")
    print(f"Actreel, from the store:                   {fast:.2f} s per epoch")
    print(f"ratio: {slow / fast:.1f}")


if __name__ == "__main__":
    main()
