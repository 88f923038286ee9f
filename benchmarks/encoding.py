"""A frozen encoder: encoding against the bare runtime, and training a head on the features of 6,650 clips.

python -m benchmarks.encoding [--clips 64] [--retrain-clips 6650]
"""

import argparse
import io
import logging
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from actreel.base.cores import num_cores
from actreel.config import ClipSpec, ModelParams, TrainParams
from actreel.dataset.store import StoredClips, write_store
from actreel.training import features
from actreel.training.features import OpenEncoders, StoredFeatures, encode_clips
from actreel.training.train import train

SPEC = ClipSpec(num_frames=20, height=224, width=224)
ENCODER = {"encoder": "efficientnet_lite0", "weights": "imagenet"}
PARAMS = ModelParams(**ENCODER, head="bilstm", motion="difference", units=64, dropout=0.3)


def rows_of(clips: int, actions: int) -> pd.DataFrame:
    names = [f"{number:05d}" for number in range(clips)]
    actions_of = [f"action{number % actions:02d}" for number in range(clips)]
    groups = [f"g{number // actions % 25:02d}" for number in range(clips)]
    return pd.DataFrame({"clip": names, "sha256": names, "action": actions_of, "group": groups})


def encoding(scratch: Path, clips: int) -> None:
    rng = np.random.default_rng(0)
    rows = rows_of(clips, 1)
    frames = [rng.integers(0, 256, SPEC.shape, dtype=np.uint8) for _ in range(clips)]
    write_store(rows, scratch / "clips", {"clip": SPEC.model_dump()}, lambda names: iter(frames))
    # Opened once, with the first clip: exporting the encoder to ONNX is not part of the rate.
    opened: OpenEncoders = {}
    encode_clips(rows[:1], StoredClips(scratch / "clips"), scratch / "first", **ENCODER, mirror=False, opened=opened)
    ((run, _),) = opened.values()

    def bare() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(num_cores()) as pool:
            list(pool.map(run, frames))
        return time.perf_counter() - start

    features.log.setLevel(logging.INFO)
    rounds = []
    for turn in range(3):
        runtime = bare()
        lines = io.StringIO()
        features.log.handlers = [logging.StreamHandler(lines)]
        start = time.perf_counter()
        into = scratch / f"features{turn}"
        encode_clips(rows, StoredClips(scratch / "clips"), into, **ENCODER, mirror=False, opened=opened)
        stage = time.perf_counter() - start
        estimate = re.search(r"at ([\d.]+) clips/s", lines.getvalue())
        rounds.append((clips / runtime, clips / stage, runtime / stage, float(estimate[1]) * stage / clips))
        print("round {}: {:.2f} and {:.2f} clips/s, {:.1%}; estimate {:.1%}".format(turn + 1, *rounds[-1]), flush=True)
    runtime_rate, stage_rate, share, estimate = np.median(rounds, axis=0)
    print(f"bare ONNX Runtime: {runtime_rate:.2f} clips/s on {num_cores()} cores")
    print(f"encode_clips:      {stage_rate:.2f} clips/s, {share:.0%} of it in the same round (medians)")
    print(f"the rate estimated after the first clips: {estimate:.0%} of the final rate")


def retraining(scratch: Path, clips: int) -> None:
    rng = np.random.default_rng(0)
    rows = rows_of(clips, 50)
    made_with = {"clip": SPEC.model_dump(), "encoder": ENCODER["encoder"]}
    random = (rng.random((1, SPEC.num_frames, 1280), dtype=np.float32) for _ in range(clips))
    write_store(rows, scratch / "random", made_with, lambda names: random)
    splits = {"train": rows[rows.index // 50 % 5 > 0], "val": rows[rows.index // 50 % 5 == 0]}
    params = TrainParams(
        epochs=10,
        batch_size=32,
        learning_rate=1e-3,
        patience=10,
        mirror=False,
        balance=False,
        refit=False,
        true_accept_rate=0.95,
        seed=0,
    )
    for head in (PARAMS, PARAMS.model_copy(update={"head": "statistics_probe", "motion": "none"})):
        start = time.perf_counter()
        _, curve = train(head, params, StoredFeatures(scratch / "random"), splits, sorted(set(rows["action"])))
        seconds = time.perf_counter() - start
        print(f"{head.head} on features of {clips} clips: {seconds:.0f} s for {len(curve)} epochs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--retrain-clips", type=int, default=6650)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        encoding(Path(scratch), options.clips)
        retraining(Path(scratch), options.retrain_clips)


if __name__ == "__main__":
    main()
