"""A model of landmarks without BlazePose: it sees a person where it is light, further right the lighter it is."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from actreel.config import ClipSpec, ModelParams
from actreel.inference.manifest import ClassifierCard, Provenance

SPEC = ClipSpec(num_frames=8, height=32, width=32)
LABELS = ("left", "right")
TORSO = 0.2
"""Of the longest side of a clip's frame."""

DARKEST = 0.1
"""Of the light in which somebody is seen; from 0.5 on, there are two people."""

NETWORK = ModelParams(encoder="pose", weights="imagenet", head="mean_probe", motion="none", units=8, dropout=0.0)


def standing() -> np.ndarray:
    """float32 (33, 2): landmarks in lengths of the torso, from the hips."""
    places = np.zeros((33, 2), np.float32)
    places[:11, 1] = -1.6
    places[[7, 8], 0] = 0.3, -0.3
    places[11:17] = [(0.4, -1), (-0.4, -1), (0.7, -0.5), (-0.7, -0.5), (0.8, 0), (-0.8, 0)]
    places[17:23] = [(0.8, 0.1), (-0.8, 0.1)] * 3
    places[23:29] = [(0.2, 0), (-0.2, 0), (0.3, 0.8), (-0.3, 0.8), (0.3, 1.6), (-0.3, 1.6)]
    places[29:33] = [(0.3, 1.7), (-0.3, 1.7)] * 2
    return places


def write_pose_model(folder: Path, spec: ClipSpec = SPEC, clip_duration_s: float = 2.0, *, counts: bool = True) -> Path:
    """A model folder of `model.encoder: pose`; without `counts` as of a version that did not count people."""
    folder.mkdir(parents=True)
    at_left, per_light = np.zeros((2, 1, 136), np.float32)
    marks = at_left[0, :132].reshape(33, 4)
    marks[:, :2], marks[:, 3] = standing(), 0.9
    at_left[0, 132:] = -0.25, 0, TORSO, 1
    per_light[0, 132] = 0.5
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", *spec.shape[1:]])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 136])
    people = helper.make_tensor_value_info("people", TensorProto.FLOAT, ["N"])
    encoder = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["grey"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Div", ["grey", "white"], ["light"]),
        helper.make_node("Greater", ["light", "darkest"], ["is_light"]),
        helper.make_node("Cast", ["is_light"], ["one"], to=TensorProto.FLOAT),
        helper.make_node("Greater", ["light", "half"], ["is_lighter"]),
        helper.make_node("Cast", ["is_lighter"], ["other"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["one", "other"], ["people"]),
        helper.make_node("Unsqueeze", ["light", "last"], ["column"]),
        helper.make_node("Unsqueeze", ["one", "last"], ["there"]),
        helper.make_node("Mul", ["column", "per_light"], ["moved"]),
        helper.make_node("Add", ["moved", "at_left"], ["person"]),
        helper.make_node("Mul", ["person", "there"], ["features"]),
    ]
    constants = {
        "white": np.float32(255), "darkest": np.float32(DARKEST), "half": np.float32(0.5), "last": np.array([1]),
        "per_light": per_light, "at_left": at_left,
    }  # fmt: skip
    _write(folder / "encoder.onnx", encoder, [frames], [features, people] if counts else [features], constants)
    clip = helper.make_tensor_value_info("clip", TensorProto.FLOAT, ["N", spec.num_frames, 136])
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(LABELS)])
    head = [
        helper.make_node("ReduceMean", ["clip"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = np.zeros((136, 2), np.float32)
    weights[132] = -20, 20
    _write(folder / "head.onnx", head, [clip], [answer], {"weights": weights})
    provenance = Provenance(dataset="light", data_version="0", run_id="none", git_commit="none", trained_at="never")
    card = ClassifierCard(
        labels=LABELS, clip=spec, clip_duration_s=clip_duration_s, network=NETWORK, provenance=provenance
    )
    card.save(folder)
    return folder


def _write(file: Path, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> None:
    named = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, named)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    file.write_bytes(model.SerializeToString())
