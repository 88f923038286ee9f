"""Every head on the demo: accuracy on all test clips, and on the pairs of actions that differ only in order.

    make repro && python -m benchmarks.heads [--heads lstm,gru] [--set train.epochs=40]

Needs the demo's clips in artifacts/clips. Each head is trained with the settings of params.yaml on the same training
clips. `mean` ignores order, so it is the baseline on the pairs.
"""

import argparse
import time
from pathlib import Path

from actreel.config import CLIP_HEADS, FRAME_HEADS, load_params, override
from actreel.dataset.demo import ORDERED_PAIRS
from actreel.dataset.layout import SPLITS, TEST
from actreel.dataset.records import clips_of, labels_of, read_index
from actreel.dataset.store import StoredClips
from actreel.training.train import predict, targets_of, train

ORDERED = [action for pair in ORDERED_PAIRS for action in pair]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", default=",".join((*FRAME_HEADS, *CLIP_HEADS)))
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    options = parser.parse_args()

    index = read_index(Path("artifacts/index.parquet"))
    labels = labels_of(index)
    if not set(ORDERED) <= set(labels):
        raise SystemExit("error: artifacts/ does not hold the demo. Make it with: make repro")
    clips = StoredClips(Path("artifacts/clips"))
    rows = {split: clips_of(index, split) for split in SPLITS}
    targets = targets_of(rows[TEST], labels)
    ordered = rows[TEST]["action"].isin(ORDERED).to_numpy()

    lines = [f"{'head':22s} {'parameters':>10s} {'epochs':>6s} {'seconds':>7s} {'accuracy':>8s} {'ordered pairs':>13s}"]
    for head in options.heads.split(","):
        encoder = "pixels" if head in CLIP_HEADS else "small_cnn"
        params = override(load_params(), [f"model.encoder={encoder}", f"model.head={head}", *options.set])
        start = time.perf_counter()
        model, curve = train(params.model, params.train, clips, rows, labels)
        seconds = time.perf_counter() - start
        right = predict(model, clips, rows[TEST], params.evaluate.batch_size).argmax(axis=1) == targets
        lines.append(
            f"{head:22s} {model.count_params():10,d} {len(curve):6d} {seconds:7.0f} {right.mean():8.3f} "
            f"{right[ordered].mean():13.3f}"
        )
        print(lines[-1], flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
