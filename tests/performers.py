"""The demo's performers before a camera, and a small model that knows what they do.

The model sees where a clip moves: the mean difference between neighbouring frames at each place ("motion energy":
Bobick and Davis, "The recognition of human movement using temporal templates", PAMI 2001), under a solved linear layer.
It takes a second to learn, and 99 % of other performers' clips are right.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from actreel.config import ClipSpec
from actreel.dataset.demo.film import draw_frames
from actreel.dataset.demo.motions import MOTIONS
from actreel.dataset.demo.performers import draw_group
from actreel.inference.classifier import ClassifierCard, Provenance
from actreel.video.clips import fit_frame
from actreel.video.opencv import cv2

LABELS = ("JumpingJack", "PushUps", "Running", "Wave")
SPEC = ClipSpec(num_frames=16, height=24, width=32)
CAMERA_FPS = 30
APART = 3
"""Frames of the camera from one frame of a clip to the next."""

_TEACHERS = 4
_PENALTY = 1.0
_SHARPNESS = 10.0


def perform(action: str, performer: int) -> list[NDArray[np.uint8]]:
    """A performance as BGR frames; performers below 100 teach, the others are new to the model."""
    group = draw_group(np.random.default_rng(performer), mirrored=bool(performer % 2))
    rng = np.random.default_rng([performer, LABELS.index(action)])
    return [np.asarray(frame, dtype=np.uint8) for frame in draw_frames(MOTIONS[action], group, rng)]


def write_film(path: Path, action: str, performer: int) -> Path:
    """A performance as Chromium's fake camera plays it over and over: JPEGs in a row, 30 a second."""
    path.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in perform(action, performer)))
    return path


@cache
def _learned() -> NDArray[np.float32]:
    """The linear layer, float32 (places of a frame, actions), learned from a few performers."""
    clips = [
        (_energy(frames, start), number)
        for performer in range(_TEACHERS)
        for number, frames in enumerate(perform(action, performer) for action in LABELS)
        for start in (0, 10, 20)
    ]
    energies = np.array([energy for energy, _ in clips])
    wanted = np.eye(len(LABELS))[[number for _, number in clips]]
    kernel = energies @ energies.T + _PENALTY * np.eye(len(clips))
    weights = _SHARPNESS * energies.T @ np.linalg.solve(kernel, wanted)
    return np.asarray(weights / 255, dtype=np.float32)


def write_performers_model(folder: Path) -> Path:
    """Writes a model folder; the model is learned once in a process."""

    def constant(name: str, values: Any, kind: int = TensorProto.INT64) -> Any:
        array = np.asarray(values)
        return helper.make_tensor(name, kind, array.shape, array.ravel())

    nodes = [
        helper.make_node("Cast", ["clip"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["pixels", "one", "end", "one"], ["later"]),
        helper.make_node("Slice", ["pixels", "zero", "last", "one"], ["earlier"]),
        helper.make_node("Sub", ["later", "earlier"], ["change"]),
        helper.make_node("Abs", ["change"], ["size"]),
        helper.make_node("ReduceMean", ["size", "axes"], ["energy"], keepdims=0),
        helper.make_node("Flatten", ["energy"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = [
        constant("zero", [0]), constant("one", [1]), constant("last", [-1]), constant("end", [SPEC.num_frames]),
        constant("axes", [1, 4]), constant("weights", _learned(), TensorProto.FLOAT),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "performers",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, ["N", *SPEC.shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(LABELS)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    provenance = Provenance(dataset="demo", data_version="0", run_id="none", git_commit="none", trained_at="never")
    window_s = SPEC.num_frames * APART / CAMERA_FPS
    ClassifierCard(labels=LABELS, clip=SPEC, clip_duration_s=window_s, provenance=provenance).save(folder)
    return folder


def _energy(frames: list[NDArray[np.uint8]], start: int) -> NDArray[np.float64]:
    """Where a clip of the camera moves: the mean change at each place, in [0, 1]."""
    taken = [frames[(start + APART * number) % len(frames)] for number in range(SPEC.num_frames)]
    clip = np.stack([fit_frame(np.ascontiguousarray(frame[..., ::-1]), SPEC) for frame in taken]).astype(float)
    return np.asarray(np.abs(np.diff(clip, axis=0)).mean(axis=(0, 3)).ravel() / 255)
