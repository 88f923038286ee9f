"""A video encoder that a user brings as an ONNX file, from the file to an answer of a real Bento over HTTP."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper

from actreel.base.places import CLIPS, INDEX, VIDEOS
from actreel.config import ClipSpec, ModelParams, PackageParams, load_params
from actreel.dataset.layout import TEST, TRAIN, VAL
from actreel.dataset.records import clips_of, index_videos, labels_of, write_index
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import StoredClips, extract_clips
from actreel.evaluation.int8 import serve_in_int8
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, write_manifest
from actreel.training.features import encode_clips, open_inputs
from actreel.training.folds import Scored
from actreel.training.held_out import hold_out
from actreel.training.rejection import fit_rejection
from actreel.training.train import train
from tests.conftest import ROOT, train_params, write_fading_dataset
from tests.pipelines.build_bento import build_apart
from tests.pipelines.test_package import served
from tests.training.onnx_files.files import CLIP, save

SPEC = ClipSpec(num_frames=8, height=12, width=16)
TRAINING = train_params(epochs=6, batch_size=8, patience=6)


def write_video_encoder(path: Path) -> Path:
    """A network that sees 4 frames of 8x8 px: a convolution over time and places, and the mean over places."""
    trend = np.array([-3, -1, 1, 3]).reshape(4, 1, 1)
    kernel = np.random.default_rng(0).normal(1, 0.1, (6, 3, 4, 1, 1)).astype(np.float32)
    kernel[3:] *= trend
    nodes = [
        helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Conv", ["planes", "kernel"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["y"]),
    ]
    return save(path, nodes, ("N", 4, 3, 8, 8), {"y": ["N", 6]}, {"kernel": kernel}, settings=CLIP)


def write_model(index: pd.DataFrame, weights: Path, path: Path) -> ModelFolder:
    """Encodes the clips and solves a head, as the stages encode and train do."""
    network = ModelParams(encoder="onnx", weights=str(weights), head="mean_probe", motion="none", units=8, dropout=0.0)
    encode_clips(index, StoredClips(CLIPS), path / "features", encoder="onnx", weights=str(weights), mirror=False)
    inputs = open_inputs(CLIPS, path / "features")
    data = TrainingData(index, {split: clips_of(index, split) for split in (TRAIN, VAL)}, labels_of(index), inputs)
    scored: Scored = {}
    epochs = path / "epochs"
    fitted, curve = train(network, TRAINING, inputs, data.rows, data.labels, epoch_weights=epochs, scored=scored)
    statistics, held_out = hold_out(fitted, curve, network, TRAINING, data, epochs, scored)
    temperature = calibrate(fitted, held_out)
    rejection = fit_rejection(statistics, held_out, 0.95)
    folder = ModelFolder(path / "model")
    _, encoder = export_model(fitted, network, rejection, data, folder)
    provenance = Provenance(dataset="fading", data_version="1", run_id="2", git_commit="3", trained_at="4")
    write_manifest(data, rejection, temperature, network, provenance, folder, encoder)
    return folder


def test_a_video_encoder_from_file_to_an_answer_over_http_in_int8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_fading_dataset(tmp_path / VIDEOS)
    index = index_videos(VIDEOS)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    write_index(index, INDEX)
    extract_clips(index, VIDEOS, CLIPS, SPEC)
    weights = write_video_encoder(tmp_path / "mine" / "trend.onnx")
    folder = write_model(index, weights, tmp_path)
    trained = ActionClassifier.load(folder.path)
    assert serve_in_int8(folder.path, "fading", PackageParams(name="own", max_drop=0.3))["precision"] == "int8"
    assert onnx.load(folder.encoder).producer_name == "onnx.quantize"

    test = clips_of(index, TEST)
    evaluated = score(ActionClassifier.load(folder.path), StoredClips(CLIPS), test, VIDEOS).probabilities
    before = score(trained, StoredClips(CLIPS), test, VIDEOS).probabilities
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACTREEL_")},
        "BENTOML_HOME": str(tmp_path / "store"),
        "BENTOML_DO_NOT_TRACK": "True",
        "ACTREEL_STATE_DIR": str(tmp_path / "state"),
        "ACTREEL_STATISTICS_DIR": str(tmp_path / "statistics"),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    bento, video = tmp_path / "bento", VIDEOS / test["clip"][0]
    build_apart(ROOT, environment, folder.path, tmp_path / video, bento)
    weights.unlink()  # the Bento holds all that it needs
    with (
        served(["bentoml", "serve", str(bento)], tmp_path, environment, tmp_path / "log", warm=True) as server,
        server.client() as client,
    ):
        described = client.get("/model").json()
        answers = []
        for clip in test["clip"]:
            file = {"video": (VIDEOS / clip).read_bytes()}
            answers.append(client.post("/predict_file", files=file).json())
    assert (described["precision"], described["labels"]) == ("int8", ["Brighten", "Darken"])
    found = [{each["label"]: each["confidence"] for each in answer["top"]} for answer in answers]
    probabilities = np.array([[each[label] for label in described["labels"]] for each in found])
    np.testing.assert_allclose(probabilities, evaluated, atol=1e-5)
    assert np.abs(probabilities - before).max() > 1e-5, "it is not the network as it was trained"
    assert [answer["label"] for answer in answers] == test["action"].tolist()
