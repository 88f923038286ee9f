"""Heads on landmarks on synthetic gestures that differ only in timing, and the published size of TD-GCN.

    python -m benchmarks.gestures [--heads mean,lstm,td_gcn] [--set train.epochs=20] [--performers 12,4,8] [--size]

Each gesture is the same three movements (left arm, right arm, knees) in another order. Their durations are drawn
whatever the order, so a mean over time has nothing to go by, and is right as often as chance. The skeletons are
synthetic: what a head gives here says that it sees order, and nothing about people.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import LANDMARK_HEADS, ClipSpec, load_params, override
from actreel.dataset.store import write_store
from actreel.evaluation.cost import count_flops
from actreel.evaluation.intervals import interval_over_groups
from actreel.models import export_onnx
from actreel.models.td_gcn import td_gcn_network
from actreel.quiet_keras import keras
from actreel.training.features import StoredFeatures
from actreel.training.train import predict, targets_of, train

FRAMES = 20
PARTS = {"LeftArm": 1, "RightArm": -1, "Knees": 0}
"""What moves, and on which side of the body; the person's left is on the picture's right."""
GESTURES = {"-".join(order): order for order in permutations(PARTS)}
SPLITS = ("train", "val", "test")
SETTINGS = (
    "model.units=8", "train.epochs=25", "train.patience=25", "train.learning_rate=0.005", "train.schedule=cosine",
    "train.warmup=2",
)  # fmt: skip
"""A small network, and a learning rate that first rises and then falls to 0; `--set` overrules them."""
NOISE = 0.05
"""Of each landmark, in lengths of the torso."""
HIDDEN = 0.1
"""Share of landmarks that are hidden, and then anywhere."""
PUBLISHED_LAYERS = ((64, 1),) * 4 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""Channels and stride over time of the authors' layers l1 to l10."""

_FACE = ((0, -1.5), (0.04, -1.55), (0.06, -1.55), (0.08, -1.55), (0.14, -1.5), (0.05, -1.4))
_LEFT_ARM = {11: 0.0, 13: 0.6, 15: 1.1, 17: 1.25, 19: 1.3, 21: 1.2}
"""How far along the arm each landmark is from the shoulder."""
_LEFT_LEG = {25: (0.22, 0.9), 27: (0.22, 1.8), 29: (0.2, 1.9), 31: (0.3, 1.92)}


def pose_of(left: float, right: float, knees: float) -> NDArray[np.float64]:
    """float64 (33, 2): where the landmarks are, in lengths of the torso from the hips, x to the right and y down.

    Args:
        left: How far the person's left arm is raised, from 0 to 1.
        right: As `left`.
        knees: How far the knees are bent, from 0 to 1: they go outwards, and the feet come up to the hips.
    """
    points = np.zeros((33, 2))
    points[0] = _FACE[0]
    for side, raised, face in ((1, left, (1, 2, 3, 7, 9)), (-1, right, (4, 5, 6, 8, 10))):
        mirror, other = np.array([side, 1]), int(side < 0)
        points[list(face)] = mirror * _FACE[1:]
        shoulder, angle = np.array([0.35 * side, -1.0]), np.pi * (0.05 + 0.85 * raised)
        for landmark, along in _LEFT_ARM.items():
            points[landmark + other] = shoulder + along * mirror * [np.sin(angle), np.cos(angle)]
        points[23 + other] = [0.18 * side, 0]
        for landmark, (x, y) in _LEFT_LEG.items():
            points[landmark + other] = mirror * [x + 0.3 * knees * (landmark == 25), y * (1 - 0.4 * knees)]
    return points


def gesture(order: Sequence[str], body: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """A clip of somebody: float32 (FRAMES, 136), as the encoder `pose` gives it.

    Args:
        order: The movements in their order.
        body: float64 (33, 2), what the person's landmarks are multiplied by.
        rng: Draws durations, sizes and noise, in the same way for every order.
    """
    durations = dict(zip(PARTS, rng.uniform(0.7, 1.3, len(PARTS)), strict=True))
    sizes = dict(zip(PARTS, rng.uniform(0.7, 1.0, len(PARTS)), strict=True))
    ends = np.cumsum([durations[part] for part in order])
    times = np.linspace(0, ends[-1], FRAMES)
    moved = {
        part: sizes[part] * np.sin(np.pi * np.clip((times - end) / durations[part] + 1, 0, 1)) ** 2
        for part, end in zip(order, ends, strict=True)
    }
    poses = np.stack([pose_of(*(moved[part][frame] for part in PARTS)) for frame in range(FRAMES)]) * body
    landmarks = np.concatenate([poses, np.zeros((FRAMES, 33, 1)), np.ones((FRAMES, 33, 1))], axis=-1)
    landmarks[..., :2] += rng.normal(0, NOISE, poses.shape)
    landmarks[..., 3] = rng.uniform(0.8, 1.0, landmarks.shape[:2])
    hidden = rng.random(landmarks.shape[:2]) < HIDDEN
    landmarks[hidden, :2] = rng.normal(0, 1, (hidden.sum(), 2))
    landmarks[hidden, 3] = rng.uniform(0, 0.3, hidden.sum())
    place = np.tile([*rng.normal(0, 0.1, 2), 0.2, 1.0], (FRAMES, 1))
    return np.concatenate([landmarks.reshape(FRAMES, -1), place], axis=-1).astype(np.float32)


def write_gestures(folder: Path, performers: Sequence[int], repeats: int) -> tuple[StoredFeatures, pd.DataFrame]:
    """Makes clips of performers, each of whom shows every gesture `repeats` times; the same ones in every run.

    Args:
        folder: Where the store of features is written.
        performers: How many there are in each of `SPLITS`.
        repeats: Clips of each gesture and performer.

    Returns:
        The store, and the index: `clip`, `action`, `group`, `split`, `sha256`.
    """
    people = [(split, number) for split, count in zip(SPLITS, performers, strict=True) for number in range(count)]
    index = pd.DataFrame(
        [
            (f"{action}-{split}{number}-{repeat}", action, f"{split}{number}", split)
            for action in GESTURES for split, number in people for repeat in range(repeats)
        ],
        columns=["clip", "action", "group", "split"],
    ).assign(sha256=lambda rows: rows["clip"])  # fmt: skip
    bodies = {
        f"{split}{number}": np.random.default_rng([SPLITS.index(split), number]).normal(1, 0.08, (33, 2))
        for split, number in people
    }
    shown = {clip: (number, *of) for number, (clip, *of) in enumerate(index[["clip", "action", "group"]].to_numpy())}

    def make(clips: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        for clip in clips:
            number, action, group = shown[clip]
            yield gesture(GESTURES[action], bodies[group], np.random.default_rng([number, 1]))[None]

    spec = ClipSpec(num_frames=FRAMES, height=64, width=64)
    write_store(index, folder, {"clip": spec.model_dump(), "encoder": "pose", "mirror": False}, make)
    return StoredFeatures(folder), index


def score(
    head: str, store: StoredFeatures, index: pd.DataFrame, settings: Sequence[str]
) -> tuple[keras.Model, pd.Series]:
    """Trains a head; returns it, and whether it is right, for each test clip."""
    params = override(load_params(), ["model.encoder=pose", f"model.head={head}", *SETTINGS, *settings])
    rows = {split: index[index["split"] == split].reset_index(drop=True) for split in SPLITS}
    labels = sorted(GESTURES)
    model, _ = train(params.model, params.train, store, rows, labels, on_epoch=partial(_say, head))
    answers = predict(model, store, rows["test"], params.evaluate.batch_size).argmax(axis=1)
    return model, pd.Series(answers == targets_of(rows["test"], labels), index=rows["test"]["group"])


def _say(head: str, epoch: int, metrics: Mapping[str, float]) -> None:
    print(f"{head}, epoch {epoch}: {metrics['val_accuracy']:.3f} right of the validation clips", file=sys.stderr)


def published(
    frames: int,
    joints: int,
    classes: int,
    channels: int = 3,
    layers: Sequence[tuple[int, int]] = PUBLISHED_LAYERS,
) -> tuple[int, int]:
    """Weights and multiply-adds of TD-GCN, added up layer by layer from the authors' model/tdgcn.py.

    Multiply-adds are those of convolutions, of products with graphs and of the last layer.

    Args:
        frames: T.
        joints: V.
        classes: Actions.
        channels: Of each joint; its first layer compares joints in eight.
        layers: Channels and stride of each.
    """
    weights, products = 2 * channels * joints, 0  # data_bn
    taken = channels
    for number, (given, stride) in enumerate(layers):
        points, kept = frames * joints, -(-frames // stride) * joints
        related = taken // 8 if number else 8
        # unit_gcn: three TDGC with conv1, conv3, conv4 and a row of PA; alpha, beta, gamma; bn; down
        weights += 3 * ((taken + 1) * (related + given) + (related + 1) * given + joints**2) + 3 + 2 * given
        products += 3 * (points * taken * (related + given) + joints**2 * related * given)
        products += 3 * 2 * points * joints * given  # the two einsums
        if taken != given:
            weights, products = weights + (taken + 3) * given, products + points * taken * given
        # MultiScale_TemporalConv: four 1x1 convolutions, the last with the stride, and two of five frames
        branch = given // 4
        weights += 4 * (given + 1) * branch + 2 * (5 * branch + 1) * branch + 2 * branch * (2 + 2 + 2 + 1)
        products += 3 * points * given * branch + kept * given * branch + 2 * kept * 5 * branch * branch
        if number and (taken, stride) != (given, 1):  # residual
            weights, products = weights + (taken + 3) * given, products + kept * taken * given
        frames, taken = -(-frames // stride), given
    return weights + (taken + 1) * classes, products + taken * classes


def counted(model: keras.Model, exported: Path) -> tuple[int, int]:
    """As `published`, counted in a network and its ONNX file."""
    weights = sum(int(np.prod(each.shape)) for each in model.trainable_weights)
    return weights, count_flops(exported, np.zeros((1, *model.input.shape[1:]), np.float32)) // 2


def td_gcn_for(frames: int, joints: int, classes: int) -> keras.Model:
    """The whole network of the published width, for joints of three coordinates."""
    x = keras.Input((frames, joints, 3))
    state = td_gcn_network(x, 64, np.zeros((3, joints, joints), np.float32))
    return keras.Model(x, keras.layers.Dense(classes)(state))


def print_sizes(file: Path) -> None:
    """Prints the published sizes of TD-GCN and those counted here; the ONNX file is written on the way."""
    for name, size in {"SHREC'17": (180, 22, 28), "DHG-14": (150, 22, 14)}.items():
        model = td_gcn_for(*size)
        export_onnx(model, file)
        for whose, (weights, products) in (("the authors'", published(*size)), ("this", counted(model, file))):
            print(f"TD-GCN for {name} {size}, {whose} code: {weights:,} weights, {products:,} multiply-adds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", default=",".join(("mean", "lstm", *LANDMARK_HEADS)))
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--performers", default="12,4,8", help="for training, validation and test")
    parser.add_argument("--repeats", type=int, default=3, help="clips of each performer and gesture")
    parser.add_argument("--size", action="store_true", help="counts TD-GCN's weights and operations; takes minutes")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        if options.size:
            print_sizes(Path(scratch) / "model.onnx")
        performers = [int(count) for count in options.performers.split(",")]
        store, index = write_gestures(Path(scratch) / "gestures", performers, options.repeats)
        print(f"\n{'head':22s} {'parameters':>10s} {'CPU s':>7s} {'accuracy':>8s} {'95 % for new performers':>24s}")
        for head in options.heads.split(","):
            start = time.process_time()
            model, right = score(head, store, index, options.set)
            seconds = time.process_time() - start
            low, high = interval_over_groups(right.to_numpy(), right.index)
            print(
                f"{head:22s} {model.count_params():10,d} {seconds:7.0f} {right.mean():8.3f} {low:15.3f} to {high:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
