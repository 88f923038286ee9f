"""From a network that was fitted for a moment to a model folder that answers."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams, load_params
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.records import clips_of, index_videos, labels_of
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import StoredClips, extract_clips
from actreel.inference.classifier import ActionClassifier, Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.models import build_model
from actreel.quiet_keras import keras
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, write_manifest
from actreel.training.held_out import hold_out
from actreel.training.rejection import EmbeddingStatistics, HeldOut, fit_rejection
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
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_model(LSTM, SPEC, 2)


def held_out(network: keras.Model, data: TrainingData) -> tuple[EmbeddingStatistics, HeldOut]:
    curve = pd.DataFrame({"val_loss": [1.0]})
    return hold_out(network, curve, LSTM, train_params(batch_size=8), data, Path("none"), {})


def test_the_temperature_is_divided_into_the_weights(network: keras.Model, data: TrainingData) -> None:
    before = predict(network, data.store, data.rows[VAL], 8)
    temperature = calibrate(network, held_out(network, data)[1])
    logits = np.log(before) / temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert temperature != 1
    np.testing.assert_allclose(predict(network, data.store, data.rows[VAL], 8), expected, atol=1e-5)


def test_the_limit_accepts_held_out_clips_and_says_what_they_promise(
    network: keras.Model, data: TrainingData, caplog: pytest.LogCaptureFixture
) -> None:
    statistics, kept = held_out(network, data)
    count = len(data.rows[VAL])
    with caplog.at_level(logging.INFO):
        rejection = fit_rejection(statistics, kept, 0.95)
    assert rejection.max_distance == kept.distances.max()
    assert f"set on {count} held-out clips, to accept about {count / (count + 1):.1%} of known clips" in caplog.text
    assert "For 95.0% there are too few." in caplog.text


def test_a_network_whose_units_have_died_rejects_nothing_and_says_so(
    network: keras.Model, data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for weights in network.trainable_variables:  # as ReLUs that are never active again
        weights.assign(0 * weights - 1 if weights.name == "bias" else 0 * weights)
    rejection = fit_rejection(*held_out(network, data), 0.95)
    assert rejection.max_distance is None
    assert "has learned nothing, and no clip is rejected" in caplog.text
    folder = ModelFolder(tmp_path / "model")
    export_model(network, LSTM, rejection, data, folder)
    write_manifest(data, rejection, 1.0, LSTM, PROVENANCE, folder)
    scores = ActionClassifier.load(folder.path).score(data.store.take(data.rows[VAL]["clip"].tolist()))
    assert np.isfinite(scores.distances).all()


def test_the_folder_answers_as_the_network_does(network: keras.Model, data: TrainingData, tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path / "model")
    rejection = fit_rejection(*held_out(network, data), 0.95)
    whole, _ = export_model(network, LSTM, rejection, data, folder)
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
