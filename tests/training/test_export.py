"""From a network that was fitted for a moment to a model folder that answers."""

import logging
from pathlib import Path

import numpy as np
import pytest

from actreel.config import ClipSpec, ModelParams, TrainParams, load_params
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.records import UNKNOWN, clips_of, index_videos, labels_of
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import StoredClips, extract_clips
from actreel.inference.classifier import ActionClassifier, Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.models import build_model
from actreel.quiet_keras import keras
from actreel.training.export import TrainingData, calibrate, export_model, fit_rejection, write_manifest
from actreel.training.train import predict
from tests.conftest import ROOT, train_params

SPEC = ClipSpec(num_frames=8, height=32, width=32)
LSTM = ModelParams(encoder="small_cnn", weights="none", head="lstm", motion="none", units=8, dropout=0.0)
PROVENANCE = Provenance(dataset="fading", data_version="1", run_id="2", git_commit="3", trained_at="4")


@pytest.fixture(scope="module")
def data(fading_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    index = index_videos(fading_dataset)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    folder = tmp_path_factory.mktemp("clips")
    extract_clips(index, fading_dataset, folder, SPEC)
    rows = {split: clips_of(index, split) for split in (TRAIN, VAL)}
    return TrainingData(index, rows, labels_of(index), StoredClips(folder))


@pytest.fixture
def params() -> TrainParams:
    return train_params(batch_size=8, false_accept_rate=0.25)


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_model(LSTM, SPEC, 2)


def with_unknown(data: TrainingData, count: int) -> TrainingData:
    index = data.index.copy()
    index.loc[index.index[:count], "split"] = UNKNOWN
    return TrainingData(index, data.rows, data.labels, data.store)


def test_the_temperature_is_divided_into_the_weights(
    network: keras.Model, params: TrainParams, data: TrainingData
) -> None:
    before = predict(network, data.store, data.rows[VAL], 8)
    temperature = calibrate(network, params, data)
    logits = np.log(before) / temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert temperature != 1
    np.testing.assert_allclose(predict(network, data.store, data.rows[VAL], 8), expected, atol=1e-5)


def test_a_refitted_model_is_not_calibrated_on_its_own_clips(
    network: keras.Model, params: TrainParams, data: TrainingData
) -> None:
    before = network.get_weights()
    assert calibrate(network, params.model_copy(update={"refit": True}), data) == 1.0
    for weights, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, old)


def test_the_limit_accepts_the_given_share_of_unknown_clips(
    network: keras.Model, params: TrainParams, data: TrainingData, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        rejection = fit_rejection(network, params, with_unknown(data, 8))
    assert rejection.max_distance is not None
    assert "accepts" in caplog.text
    assert "of the validation clips" in caplog.text


def test_without_unknown_clips_there_is_no_limit_and_the_log_says_how_to_get_one(
    network: keras.Model, params: TrainParams, data: TrainingData, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert fit_rejection(network, params, data).max_distance is None
    assert "_unknown" in caplog.text


def test_the_folder_answers_as_the_network_does(
    network: keras.Model, params: TrainParams, data: TrainingData, tmp_path: Path
) -> None:
    folder = ModelFolder(tmp_path / "model")
    rejection = fit_rejection(network, params, with_unknown(data, 8))
    whole = export_model(network, LSTM, rejection, data, folder)
    write_manifest(data, rejection, 1.5, LSTM, PROVENANCE, folder)
    classifier = ActionClassifier.load(folder.path)
    clips = data.store.take(data.rows[VAL]["clip"].tolist())
    scores = classifier.score(clips)
    np.testing.assert_allclose(scores.probabilities, np.asarray(whole(clips, training=False)), atol=1e-5)
    assert classifier.card.labels == ("Brighten", "Darken")
    assert classifier.card.temperature == 1.5
    assert classifier.card.network == LSTM
    assert classifier.card.max_distance == rejection.max_distance
    seen = folder.seen_clips.read_text(encoding="utf-8").split()
    assert seen == sorted({*data.rows[TRAIN]["sha256"], *data.rows[VAL]["sha256"]})
