"""From an ONNX file that a user brings to a model folder, and to answers of ONNX Runtime and MLflow."""

from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray

from actreel.config import ClipSpec, ModelParams, load_params
from actreel.dataset.layout import TEST, TRAIN
from actreel.dataset.records import clips_of, index_videos, labels_of
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.evaluation.quantising import quantise
from actreel.evaluation.report import Evaluation, metrics_of, plots_of
from actreel.evaluation.saliency import load_network
from actreel.evaluation.served import check_parity, score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.models import export_onnx
from actreel.quiet_keras import keras
from actreel.tracking import registry, runs
from actreel.training import features
from actreel.training.features import encode_clips
from actreel.training.onnx_encoder import OwnEncoder, encoder_of
from actreel.training.onnx_files import read_encoder
from actreel.training.train import fitted_part, predict, targets_of
from tests.conftest import ROOT, fading_frames, train_params, write_video_file
from tests.training.folders import train_folder
from tests.training.onnx_files.files import CLIP, image_encoder, video_encoder

SPEC = ClipSpec(num_frames=8, height=12, width=16)
PROVENANCE = Provenance(dataset="fading", data_version="1", run_id="2", git_commit="3", trained_at="4")
TRAINING = train_params(epochs=6, batch_size=8, learning_rate=0.03, patience=6, mirror=True)


@dataclass(frozen=True)
class Trained:
    """A head on the features of an ONNX file, and its model folder."""

    weights: Path
    index: pd.DataFrame
    inputs: Store
    folder: ModelFolder
    videos: Path

    def encode(self, target: Path) -> None:
        """Encodes the clips again."""
        assert self.inputs.frames is not None
        encode_clips(self.index, self.inputs.frames, target, encoder="onnx", weights=str(self.weights), mirror=True)


@pytest.fixture(scope="module")
def index(fading_dataset: Path) -> pd.DataFrame:
    """Brighten and Darken: only the order of frames tells them apart."""
    index = index_videos(fading_dataset)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    return index


@pytest.fixture(scope="module", params=["pictures", "clips"])
def trained(
    request: pytest.FixtureRequest, index: pd.DataFrame, fading_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A trained head on an encoder of pictures; a solved one, blind to order, on a video encoder that sees it."""
    path = tmp_path_factory.mktemp("onnx")
    of_pictures = request.param == "pictures"
    weights = image_encoder(path / "e.onnx") if of_pictures else video_encoder(path / "v.onnx")
    values = {"encoder": "onnx", "weights": str(weights), "head": "gru" if of_pictures else "mean_probe"}
    network = ModelParams.model_validate(values | {"motion": "none", "units": 8, "dropout": 0.0})
    inputs, folder = train_folder(path, index, fading_dataset, SPEC, network, TRAINING, PROVENANCE)
    return Trained(weights, index, inputs, folder, fading_dataset)


def test_test_clips_are_right_and_every_form_of_the_model_gives_the_same(trained: Trained) -> None:
    test = clips_of(trained.index, TEST)
    model = keras.models.load_model(trained.folder.keras)
    expected = predict(fitted_part(model, trained.inputs), trained.inputs, test, 8)
    actions = np.array(labels_of(trained.index))[expected.argmax(axis=1)]
    assert (actions == test["action"]).all()
    classifier = ActionClassifier.load(trained.folder.path)
    frames = trained.inputs.frames
    assert frames is not None
    parity = check_parity(
        trained.folder.path, frames, test, trained.videos,
        served=score(classifier, trained.inputs, test, trained.videos).probabilities, expected=expected, tolerance=1e-4,
    )  # fmt: skip
    assert parity < 1e-4
    assert np.ptp(expected[:, 0]) > 0.2
    steps = 8 if trained.weights.name == "e.onnx" else 3
    assert trained.inputs.input_shape == classifier.encode_clip(frames.take([frames.clips[0]])[0]).shape
    assert trained.inputs.input_shape[0] == steps


def test_in_int8_it_answers_nearly_as_before_and_the_encoder_is_the_one_of_the_manifest(
    trained: Trained, tmp_path: Path
) -> None:
    frames, names = trained.inputs.frames, clips_of(trained.index, TRAIN)["clip"].tolist()
    assert frames is not None
    quantise(trained.folder.path, (frames.take([name])[0] for name in names), names, tmp_path)
    before, after = ActionClassifier.load(trained.folder.path), ActionClassifier.load(tmp_path)
    clips = frames.take(clips_of(trained.index, TEST)["clip"].tolist())
    apart = np.abs(after.score(clips).probabilities - before.score(clips).probabilities).max()
    assert 1e-6 < apart < 0.1


def test_a_long_video_is_the_same_to_the_parts_as_to_the_whole(trained: Trained, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rising, falling = (fading_frames(rng, rising, 50) for rising in (True, False))
    video = write_video_file(tmp_path / "long.avi", [*rising, *falling])
    seen = []
    for whole in (False, True):
        classifier = ActionClassifier.load(trained.folder.path, whole=whole)
        classifier.card = classifier.card.model_copy(update={"clip_duration_s": 0.5})
        seen.append(classifier.recognise(video))
    np.testing.assert_allclose(seen[0].probabilities, seen[1].probabilities, atol=1e-5)
    np.testing.assert_allclose(seen[0].distances, seen[1].distances, rtol=1e-3, atol=1e-4)
    assert len(seen[0].distances) > 10
    assert np.ptp(seen[0].distances) > 0.01
    assert [segment.action for segment in seen[0].segments] == [segment.action for segment in seen[1].segments]


def test_the_registered_model_answers(
    trained: Trained, settings_folder: Path, quick_stores: None, tmp_path: Path
) -> None:
    params = load_params()
    with runs.training_run(params, params.split, trained.index, "abc"):
        runs.log_keras_model(keras.models.load_model(trained.folder.keras))
        version = registry.register("actreel-fading", trained.folder.path, {})
    model = mlflow.pyfunc.load_model(f"models:/actreel-fading/{version}")
    video = write_video_file(tmp_path / "video.avi", fading_frames(np.random.default_rng(5), False, 20))
    assert [answer.label for answer in model.predict([str(video)])] == ["Darken"]


def test_an_evaluation_counts_the_encoder_and_draws_no_saliency(trained: Trained) -> None:
    test, frames = clips_of(trained.index, TEST), trained.inputs.frames
    assert frames is not None
    classifier = ActionClassifier.load(trained.folder.path)
    network = keras.models.load_model(trained.folder.keras)

    def predict_rows(model: keras.Model, rows: pd.DataFrame) -> NDArray[np.float32]:
        return predict(model, trained.inputs, rows, 8)

    evaluation = Evaluation(
        test=test, targets=targets_of(test, labels_of(trained.index)), store=frames, inputs=trained.inputs,
        videos=trained.videos, folder=trained.folder.path, classifier=classifier, network=network, model=network,
        predict=predict_rows, probabilities=predict_rows(network, test), runner_up=None,
        served=score(classifier, trained.inputs, test, trained.videos), parity=0.0,
    )  # fmt: skip
    train_targets = targets_of(clips_of(trained.index, TRAIN), labels_of(trained.index))
    found = metrics_of(evaluation, train_targets, {}, views=2, protocol="group_holdout")
    parts = read_encoder(trained.weights).parameters, network.count_params()
    assert found["parameters"] == sum(parts)
    assert min(parts) > 0
    assert found["multi_clip_accuracy"] > 0.8
    assert set(plots_of(evaluation, [])) == {"confusion", "confused", "reliability"}


def test_another_encoder_in_the_model_folder_is_refused(trained: Trained) -> None:
    content = trained.folder.encoder.read_bytes()
    trained.folder.encoder.write_bytes(content.replace(b"actreel", b"someone"))
    try:
        with pytest.raises(ModelError, match=rf"model was trained with, from '{trained.weights.name}'"):
            ActionClassifier.load(trained.folder.path)
    finally:
        trained.folder.encoder.write_bytes(content)


def test_keras_holds_no_network_that_gives_saliency(trained: Trained) -> None:
    with pytest.raises(ModelError, match="needs gradients, and neither an encoder that is an ONNX graph"):
        load_network(trained.folder.path)


def test_clips_are_encoded_again_when_the_file_or_its_settings_change(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = trained.folder.path.parent / "features"
    settings = trained.weights.with_suffix(".yaml")
    content, text = trained.weights.read_bytes(), settings.read_text(encoding="utf-8")
    assert encoder_of(trained.inputs, str(trained.weights)).file.path == trained.weights
    monkeypatch.setattr(features, "_open", None)
    trained.encode(target)  # nothing is missing
    try:
        settings.write_text(yaml.safe_dump(yaml.safe_load(text) | {"mean": 0.1}), encoding="utf-8")
        with pytest.raises(TypeError):
            trained.encode(target)
        with pytest.raises(ModelError, match=r"has changed since the clips were encoded.*dvc repro --force encode"):
            encoder_of(trained.inputs, str(trained.weights))
        settings.write_text(text, encoding="utf-8")
        trained.weights.write_bytes(content + b"\xba\x3e\x00")  # a field that no reader knows
        with pytest.raises(TypeError):
            trained.encode(target)
    finally:
        trained.weights.write_bytes(content)
        settings.write_text(text, encoding="utf-8")


def test_a_clip_shorter_than_a_window_is_refused_before_anything_is_encoded(trained: Trained, tmp_path: Path) -> None:
    path = video_encoder(tmp_path / "v.onnx", settings=CLIP | {"stride": 3})
    frames = trained.inputs.frames
    assert frames is not None
    with pytest.raises(
        ModelError, match=r"sees at once: 10, for 4 frames at a stride of 3\. Received: clip.num_frames 8"
    ):
        encode_clips(trained.index, frames, tmp_path / "f", encoder="onnx", weights=str(path), mirror=False)
    assert not (tmp_path / "f").exists()


def test_a_real_network_of_keras_gives_what_it_gives_in_keras(tmp_path: Path) -> None:
    whole = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None)
    # All kinds of its layers; the rest would take seconds more to export.
    network = keras.Model(
        whole.input, keras.layers.GlobalAveragePooling2D()(whole.get_layer("block_4_expand_relu").output)
    )
    path = tmp_path / "mobilenet_v2.onnx"
    export_onnx(network, path)
    path.with_suffix(".yaml").write_text(yaml.safe_dump({"range": [-1, 1], "mean": 0, "std": 1}), encoding="utf-8")
    spec = ClipSpec(num_frames=3, height=48, width=64)
    own = OwnEncoder.read(str(path), spec)
    assert own.file.settings.layout == "NHWC"
    weights = [layer for layer in network.layers if not isinstance(layer, keras.layers.BatchNormalization)]
    assert own.file.parameters >= sum(layer.count_params() for layer in weights)
    own.write(tmp_path / "wrapped.onnx")
    run, _ = features._open(own)
    frames = np.kron(np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    images = keras.ops.image.resize(frames.astype(np.float32), (96, 96)) / 127.5 - 1
    expected = np.asarray(network(images, training=False))
    assert own.wrapped.size == expected.shape[1] == network.output_shape[1]
    np.testing.assert_allclose(run(frames), expected, atol=1e-4 * np.abs(expected).max())
    assert np.ptp(expected, axis=0).max() > 0.01 * np.abs(expected).max()
