"""`onnx` and `pose` in a list of encoders: from the clips to a model folder and its answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams, load_params
from actreel.dataset.records import clips_of, index_videos
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.evaluation.served import check_parity, score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.models import PRETRAINED
from actreel.quiet_keras import keras
from actreel.training.features import StoredFeatures
from actreel.training.onnx_encoder import encoder_of, read_graph_encoder
from actreel.training.onnx_files import num_parameters
from actreel.training.train import predict
from tests.conftest import ROOT, train_params
from tests.models.networks import tiny_encoder
from tests.sounds import write_sounding_dataset
from tests.training.folders import train_folder
from tests.training.onnx_files.files import video_encoder
from tests.training.pose.networks import using_stand_ins

SPEC = ClipSpec(num_frames=8, height=16, width=16)
PROVENANCE = Provenance(dataset="sounding", data_version="1", run_id="2", git_commit="3", trained_at="4")
SEES = "efficientnet_lite0"
PICTURES, WINDOWS = f"{SEES}+pose", f"onnx+{SEES}+pose+audio"
SIZES = {SEES: 8, "onnx": 6, "pose": 136, "audio": 128}


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    """Small networks in place of the real ones."""
    with pytest.MonkeyPatch.context() as patch, using_stand_ins():
        patch.setitem(PRETRAINED, SEES, tiny_encoder)
        yield


@dataclass(frozen=True)
class Trained:
    """A probe on several encoders, and its model folder."""

    network: ModelParams
    index: pd.DataFrame
    inputs: Store
    folder: ModelFolder
    videos: Path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sounding_dataset(tmp_path_factory.mktemp("sounding"), groups=4)


@pytest.fixture(scope="module", params=[PICTURES, WINDOWS])
def trained(request: pytest.FixtureRequest, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Of pictures alone; and beside a video encoder, in its windows, with sound."""
    path = tmp_path_factory.mktemp("joined")
    weights = str(video_encoder(path / "v.onnx")) if "onnx" in request.param else "imagenet"
    network = ModelParams(
        encoder=request.param, weights=weights, head="statistics_probe", motion="none", units=8, dropout=0.0
    )
    index = index_videos(videos, join=False)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    inputs, folder = train_folder(path, index, videos, SPEC, network, train_params(), PROVENANCE)
    return Trained(network, index, inputs, folder, videos)


def test_every_form_of_the_model_gives_the_same(trained: Trained) -> None:
    rows, store = clips_of(trained.index, "test"), trained.inputs
    assert isinstance(store, StoredFeatures)
    assert store.frames is not None
    assert store.sizes == tuple(SIZES[name] for name in trained.network.encoders)
    assert store.input_shape == (3 if "onnx" in trained.network.encoder else 8, sum(store.sizes))
    expected = predict(keras.models.load_model(trained.folder.keras), store, rows, 8)
    assert expected.std(axis=0).max() > 0.1
    served = score(ActionClassifier.load(trained.folder.path), store, rows, trained.videos).probabilities
    parity = check_parity(
        trained.folder.path, store.frames, rows, trained.videos, served=served, expected=expected, tolerance=1e-4
    )
    assert parity < 1e-4


def test_a_long_video_is_the_same_to_the_parts_as_to_the_whole(trained: Trained) -> None:
    seen = []
    for whole in (False, True):
        classifier = ActionClassifier.load(trained.folder.path, whole=whole)
        classifier.card = classifier.card.model_copy(update={"clip_duration_s": 0.1})
        seen.append(classifier.recognise(trained.videos / trained.index["clip"].iloc[0]))
    np.testing.assert_allclose(seen[0].probabilities, seen[1].probabilities, atol=1e-4)
    np.testing.assert_allclose(seen[0].distances, seen[1].distances, rtol=1e-3, atol=1e-4)
    assert len(seen[0].distances) > 1


def test_the_manifest_names_every_graph_and_counts_all_weights(trained: Trained) -> None:
    described = ActionClassifier.load(trained.folder.path).card.encoder
    assert described is not None
    names = {"onnx": "v.onnx", SEES: SEES, "pose": "BlazePose of mediapipe==0.10.21"}
    assert described.file == " + ".join(names[name] for name in trained.network.encoders if name in names)
    assert len(described.file_sha256.split(" + ")) == len(described.file.split(" + "))
    tiny = read_graph_encoder(SEES, "imagenet", SPEC)
    assert described.parameters > 2254 * 12 + num_parameters(tiny.wrapped.model)
    assert (described.frames, described.stride) == ((4, 1) if "onnx" in trained.network.encoder else (None, None))


@pytest.mark.parametrize("trained", [WINDOWS], indirect=True)
def test_a_file_that_has_changed_since_is_refused(trained: Trained) -> None:
    weights = Path(trained.network.weights)
    content = weights.read_bytes()
    assert encoder_of(trained.inputs, str(weights)).windows is not None
    try:
        weights.write_bytes(content + b"\xba\x3e\x00")  # a field that no reader knows
        with pytest.raises(ModelError, match="has changed since the clips were encoded"):
            encoder_of(trained.inputs, str(weights))
    finally:
        weights.write_bytes(content)


@pytest.mark.parametrize("trained", [PICTURES], indirect=True)
def test_landmarks_in_a_list_are_those_of_pose_alone(trained: Trained) -> None:
    frames = trained.inputs.frames
    assert frames is not None
    clip = frames.take(frames.clips[:1])[0]
    whole = onnx.load(trained.folder.encoder)
    alone = read_graph_encoder("pose", "imagenet", SPEC).wrapped.model
    expected, found = (
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"frames": clip})[0]
        for model in (alone, whole)
    )
    np.testing.assert_allclose(found[:, 8:], expected, atol=1e-5)
    assert np.abs(expected).max() > 0.5
