"""Several encoders in one model: their weights, and a model of pictures and sound from the clips to the answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams, SignalSpec, TrackSpec, load_params
from actreel.dataset.records import clips_of, index_videos, labels_of
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import Store, StoredClips, extract_clips
from actreel.errors import ModelError
from actreel.evaluation.served import check_parity, score, score_views
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.models import PRETRAINED
from actreel.quiet_keras import keras
from actreel.training.choice import choose_head
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, fit_rejection, write_manifest
from actreel.training.features import encode_clips, open_inputs
from actreel.training.fusion import best_of, candidates, scales_of
from actreel.training.held_out import hold_out
from actreel.training.probes import Scored
from actreel.training.train import fitted_part, predict, targets_of, train
from tests.conftest import ROOT, grey_frames, train_params, write_video_file
from tests.models.networks import tiny_encoder
from tests.sounds import write_sounding, write_sounding_dataset

SPEC = ClipSpec(num_frames=8, height=16, width=16)
PROVENANCE = Provenance(dataset="sounding", data_version="1", run_id="2", git_commit="3", trained_at="4")
BOTH, SEES, HEARS = "efficientnet_lite0+audio", "efficientnet_lite0", "audio"


def network(encoder: str, head: str = "statistics_probe") -> ModelParams:
    values = load_params(ROOT / "params.yaml").model.model_dump() | {"encoder": encoder, "head": head}
    return ModelParams.model_validate(values)


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRETRAINED, SEES, tiny_encoder)
        yield


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sounding_dataset(tmp_path_factory.mktemp("sounding"))


@pytest.fixture(scope="module")
def index(videos: Path) -> pd.DataFrame:
    index = index_videos(videos)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    return index


@pytest.fixture(scope="module")
def stores(videos: Path, index: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """What each of the encoders gives for the clips."""
    folder = tmp_path_factory.mktemp("stores")
    extract_clips(index, videos, folder / "clips", SPEC, keep=False)
    for encoder in (SEES, HEARS, BOTH):
        clips = StoredClips(folder / "clips", videos)
        encode_clips(index, clips, folder / encoder, encoder=encoder, weights="imagenet", mirror=True)
    return {encoder: open_inputs(folder / "clips", folder / encoder, videos) for encoder in (SEES, HEARS, BOTH)}


def test_the_features_of_several_are_those_of_each(stores: dict[str, Store], index: pd.DataFrame) -> None:
    clips = index["clip"].tolist()[:3]
    for mirrored in (False, True):
        seen, heard, both = (stores[name].take(clips, [mirrored] * 3) for name in (SEES, HEARS, BOTH))
        np.testing.assert_allclose(both, np.concatenate([seen, heard], axis=-1), rtol=1e-5, atol=1e-5)
    assert stores[SEES].track is None
    assert stores[HEARS].track == stores[BOTH].track
    assert stores[HEARS].input_shape == (8, 128)


def test_weights_are_shares_of_the_total_variance(stores: dict[str, Store]) -> None:
    store, params = stores[BOTH], network(BOTH)
    (_, size), heard = store.input_shape, 128
    for weights, shares in (((1.0, 1.0), (0.5, 0.5)), ((1.0, 0.5), (0.8, 0.2)), ("auto", (0.5, 0.5))):
        scales = scales_of(params.model_copy(update={"fusion": weights}), store)
        assert scales is not None
        np.testing.assert_allclose((scales**2).sum(), size, rtol=1e-5)
        np.testing.assert_allclose((scales[-heard:] ** 2).sum() / size, shares[1], rtol=1e-5)
    alone = scales_of(params.model_copy(update={"fusion": (0.0, 1.0)}), store)
    assert alone is not None
    np.testing.assert_allclose(alone, [1e-6] * (size - heard) + [1.0] * heard, rtol=1e-5)
    assert scales_of(network(HEARS), stores[HEARS]) is None


def test_each_weight_is_tried_with_one_at_its_full() -> None:
    two = candidates(network(BOTH))
    assert len(two) == len(set(two)) == 7
    assert {(1.0, 1.0), (0.0, 1.0), (1.0, 0.25)} <= set(two)
    three = candidates(network("resnet50+vgg16+audio"))
    assert sorted(three, reverse=True)[0] == (1.0, 1.0, 1.0)
    assert len(three) == 7


@pytest.fixture(scope="module")
def fused(
    stores: dict[str, Store], index: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelParams, ModelFolder]:
    """A model of both, with chosen weights."""
    data = TrainingData(
        index, {split: clips_of(index, split) for split in ("train", "val")}, labels_of(index), stores[BOTH]
    )
    scored: Scored = {}
    params = train_params()
    chosen, _ = choose_head(network(BOTH), params, data.store, data.rows, data.labels, scored)
    fitted, curve = train(chosen, params, data.store, data.rows, data.labels, scored=scored)
    statistics, held_out = hold_out(fitted, curve, chosen, params, data, Path(), scored)
    temperature = calibrate(fitted, held_out)
    folder = ModelFolder(tmp_path_factory.mktemp("model"))
    rejection = fit_rejection(statistics, held_out, params.true_accept_rate)
    _, encoder = export_model(fitted, chosen, rejection, data, folder)
    write_manifest(data, rejection, temperature, chosen, PROVENANCE, folder, encoder)
    return chosen, folder


def test_both_together_know_what_neither_can_know(
    fused: tuple[ModelParams, ModelFolder], stores: dict[str, Store], index: pd.DataFrame, videos: Path
) -> None:
    """By pictures alone, or by sound alone, two actions each look the same: no more than a half can be right."""
    rows, (chosen, folder) = clips_of(index, "test"), fused
    assert min(chosen.fusion) > 0
    answers = score(ActionClassifier.load(folder.path), stores[BOTH], rows, videos).probabilities
    assert (answers.argmax(axis=1) == targets_of(rows, labels_of(index))).mean() > 0.75


def test_onnx_files_answer_as_keras_does(
    fused: tuple[ModelParams, ModelFolder], stores: dict[str, Store], index: pd.DataFrame, videos: Path
) -> None:
    _, folder = fused
    store, rows = stores[BOTH], clips_of(index, "test")
    assert store.frames is not None
    expected = predict(fitted_part(keras.models.load_model(folder.keras), store), store, rows, 8)
    served = score(ActionClassifier.load(folder.path), store, rows, videos).probabilities
    apart = check_parity(
        folder.path, store.frames, rows, videos, served=served, expected=expected, tolerance=1e-4
    )  # fmt: skip
    assert apart < 1e-4
    assert expected.std(axis=0).max() > 0.1


def test_a_file_gets_the_answer_of_its_clip_and_a_mute_copy_another(
    fused: tuple[ModelParams, ModelFolder], stores: dict[str, Store], index: pd.DataFrame, videos: Path, tmp_path: Path
) -> None:
    classifier = ActionClassifier.load(fused[1].path)
    row = clips_of(index, "test").iloc[:1]
    (clip,) = row["clip"]
    expected = score(classifier, stores[BOTH], row, videos).probabilities[0]
    for whole in (False, True):
        seen = ActionClassifier.load(fused[1].path, whole=whole).recognise(videos / clip)
        np.testing.assert_allclose(seen.probabilities, expected, atol=1e-4)
    assert score_views(fused[1].path, [videos / clip], 3).shape == (1, 4)
    mute = write_sounding(tmp_path / "mute.avi", [np.full((48, 64, 3), 90, np.uint8)] * 15, np.zeros(9600))
    assert np.abs(classifier.recognise(mute).probabilities - expected).max() > 0.01


def test_frames_alone_are_refused(fused: tuple[ModelParams, ModelFolder]) -> None:
    classifier = ActionClassifier.load(fused[1].path)
    with pytest.raises(ModelError, match=r"frames with their track.*Received: frames alone.*actreel predict"):
        classifier.encode(np.zeros((2, *SPEC.shape[1:]), np.uint8))


def test_what_adds_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    scores = {(1.0, 1.0): (0.8, 0.5), (1.0, 0.0): (0.9, 0.4), (0.0, 1.0): (0.9, 0.6)}
    with caplog.at_level(logging.INFO):
        chosen = best_of(network(BOTH), scores, 20)
    assert chosen.fusion == (1.0, 0.0)
    assert "audio adds nothing on held-out clips" in caplog.text
    assert "model.encoder=efficientnet_lite0" in caplog.text


def test_signals_beside_the_clips_teach_what_pictures_do_not_show(tmp_path: Path) -> None:
    for group in range(1, 6):
        for action, sign in (("Left", -1), ("Right", 1)):
            video = tmp_path / "videos" / action / f"v_{action}_g{group:02d}_c01.avi"
            write_video_file(video, grey_frames([90 + group] * 20))
            rows = (f"{time:.3f},{sign * time * 9 + group},{time}" for time in np.linspace(0, 0.8, 50))
            video.with_suffix(".csv").write_text("time,x,y\n" + "\n".join(rows) + "\n", encoding="utf-8")
    index = index_videos(tmp_path / "videos", join=False)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    extract_clips(index, tmp_path / "videos", tmp_path / "clips", SPEC, keep=False)
    clips = StoredClips(tmp_path / "clips", tmp_path / "videos")
    encode_clips(index, clips, tmp_path / "signals", encoder="signals", weights="imagenet", mirror=False)
    store = open_inputs(tmp_path / "clips", tmp_path / "signals", tmp_path / "videos")
    assert store.track == TrackSpec(signals=SignalSpec(columns=("x", "y")))
    assert store.input_shape == (8, 8)
    rows, labels = {split: clips_of(index, split) for split in ("train", "val", "test")}, labels_of(index)
    fitted, _ = train(network("signals"), train_params(), store, rows, labels)
    targets = targets_of(rows["test"], labels)
    assert (predict(fitted, store, rows["test"], 8).argmax(axis=1) == targets).all()


def test_other_signals_beside_the_same_video_make_another_clip(tmp_path: Path) -> None:
    for action in ("Left", "Right"):
        write_video_file(tmp_path / action / "clip.avi", grey_frames([90] * 5))
    digests = []
    for text in (None, "time,x\n0,1\n1,1\n", "time,x\n0,1\n1,2\n"):
        if text is not None:
            (tmp_path / "Left" / "clip.csv").write_text(text, encoding="utf-8")
        digests.append(index_videos(tmp_path, join=False)["sha256"].iloc[0])
    assert len(set(digests)) == 3
