"""Several encoders in one model: their weights, and a model of pictures and sound from the clips to the answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams, SignalSpec, TrackSpec, load_params
from actreel.dataset.duplicates import near_duplicates
from actreel.dataset.expectations import check_index
from actreel.dataset.records import check_pictures, clips_of, index_videos, labels_of
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import Store, StoredClips, extract_clips
from actreel.errors import DatasetError, ModelError, SignalError
from actreel.evaluation.report import Evaluation, metrics_of, plots_of, tables_of
from actreel.evaluation.served import check_parity, score, score_views
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.inference.recogniser import Recogniser
from actreel.models import PRETRAINED
from actreel.quiet_keras import keras
from actreel.training import features
from actreel.training.choice import choose_head
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, write_manifest
from actreel.training.features import StoredFeatures, encode_clips, open_inputs
from actreel.training.folds import FoldScores, Scored
from actreel.training.fusion import best_of, candidates, scales_of
from actreel.training.held_out import hold_out
from actreel.training.rejection import fit_rejection
from actreel.training.train import fitted_part, load_keras, predict, targets_of, train
from tests.conftest import ROOT, grey_frames, train_params, write_video_file
from tests.models.networks import tiny_encoder
from tests.sounds import write_sounding, write_sounding_dataset
from tests.training.folders import train_folder

SPEC = ClipSpec(num_frames=8, height=16, width=16)
PROVENANCE = Provenance(dataset="sounding", data_version="1", run_id="2", git_commit="3", trained_at="4")
BOTH, SEES, HEARS = "efficientnet_lite0+audio", "efficientnet_lite0", "audio"


def network(encoder: str, head: str = "statistics_probe", weights: str = "imagenet") -> ModelParams:
    changes = {"encoder": encoder, "head": head, "weights": weights}
    values = load_params(ROOT / "params.yaml").model.model_dump() | changes
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


def test_an_encoder_that_was_alone_is_not_run_again_in_a_list(
    stores: dict[str, Store], index: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = stores[SEES].frames
    assert frames is not None
    encode_clips(index, frames, tmp_path, encoder=SEES, weights="imagenet", mirror=False)
    alone = StoredFeatures(tmp_path).take(index["clip"].tolist())
    monkeypatch.setattr(features, "_open", None)
    encode_clips(index, frames, tmp_path, encoder=BOTH, weights="imagenet", mirror=False)
    both = StoredFeatures(tmp_path)
    assert both.sizes == (alone.shape[-1], 128)
    np.testing.assert_array_equal(both.take(index["clip"].tolist())[..., :-128], alone)
    files = set(tmp_path.iterdir())
    encode_clips(index, frames, tmp_path, encoder=HEARS, weights="imagenet", mirror=False)
    assert set(tmp_path.iterdir()) < files


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
    for encoders in ("vgg16+pose", "onnx+pose+audio", "vgg16+onnx+pose+audio+signals"):
        fused = network(encoders, weights="e.onnx" if "onnx" in encoders else "imagenet")
        alone = {tuple(weights) for weights in np.eye(len(fused.encoders)).tolist()}
        assert alone <= set(candidates(fused))


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


def fold_scores(right: int, loss: float) -> FoldScores:
    """Of 20 clips of action 0 that are all held out, of which the first are right."""
    probabilities = np.repeat(np.eye(2, dtype=np.float32), [right, 20 - right], axis=0)
    known, every = np.zeros(20, bool), np.arange(20)
    return FoldScores([{"accuracy": right / 20, "loss": loss}], [(known, every)], probabilities)


def test_what_adds_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    scores = {(1.0, 1.0): fold_scores(16, 0.5), (1.0, 0.0): fold_scores(18, 0.4), (0.0, 1.0): fold_scores(18, 0.6)}
    with caplog.at_level(logging.INFO):
        chosen = best_of(network(BOTH), scores, np.zeros(20, np.int64))
    assert chosen.fusion == (1.0, 0.0)
    assert "audio adds nothing on held-out clips" in caplog.text
    assert "model.encoder=efficientnet_lite0" in caplog.text


@pytest.mark.parametrize(("right", "fusion"), [(16, (1.0, 0.0)), (17, (1.0, 1.0))])
def test_several_encoders_count_only_where_they_are_clearly_better(right: int, fusion: tuple[float, ...]) -> None:
    scores = {(1.0, 1.0): fold_scores(right, 0.1), (1.0, 0.0): fold_scores(15, 0.9), (0.0, 1.0): fold_scores(9, 1.0)}
    assert best_of(network(BOTH), scores, np.zeros(20, np.int64)).fusion == fusion


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


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signals without videos: what goes up, and what goes down, of five people; the clock starts anywhere."""
    folder = tmp_path_factory.mktemp("recordings")
    for group in range(1, 6):
        for action, sign in (("Down", -1), ("Up", 1)):
            file = folder / action / f"v_{action}_g{group:02d}_c01.csv"
            file.parent.mkdir(exist_ok=True)
            rows = (
                f"{100 * group + time:.3f},{sign * time * 9 + 20 * group},{time}" for time in np.linspace(0, 0.8, 40)
            )
            file.write_text("time,x,y\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def without_videos(
    recordings: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, Store, ModelFolder]:
    """The index, the features and the model of a folder of signals."""
    index = index_videos(recordings)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    inputs, folder = train_folder(
        tmp_path_factory.mktemp("alone"), index, recordings, SPEC, network("signals"), train_params(), PROVENANCE
    )
    return index, inputs, folder


def test_a_folder_of_signals_goes_from_the_index_to_an_evaluation(
    without_videos: tuple[pd.DataFrame, Store, ModelFolder], recordings: Path
) -> None:
    index, inputs, folder = without_videos
    assert index[["width", "height"]].to_numpy().max() == 0
    np.testing.assert_allclose(index["duration_s"], 0.8)
    params, frames = load_params(ROOT / "params.yaml"), inputs.frames
    findings = check_index(index, params.validate_, params.split)
    assert all(finding.passed for finding in findings if "clips or more" not in finding.rule)
    assert not any("pixels" in finding.rule or "frames" in finding.rule for finding in findings)
    assert near_duplicates(index, 10).empty
    assert frames is not None
    classifier, test, model = ActionClassifier.load(folder.path), clips_of(index, "test"), load_keras(folder.keras)
    expected = predict(model, inputs, test, 8)
    served = score(classifier, inputs, test, recordings)
    check_parity(
        folder.path, frames, test, recordings, served=served.probabilities, expected=expected, tolerance=1e-4
    )  # fmt: skip
    evaluation = Evaluation(
        test=test, targets=targets_of(test, labels_of(index)), store=frames, inputs=inputs, videos=recordings,
        folder=folder.path, classifier=classifier, network=model, model=model,
        predict=lambda model, rows: predict(model, inputs, rows, 8), probabilities=expected, runner_up=None,
        served=served, parity=0.0,
    )  # fmt: skip
    found = metrics_of(evaluation, targets_of(test, labels_of(index)), {}, views=2, protocol="group_holdout")
    assert found["accuracy"] == found["multi_clip_accuracy"] == 1
    assert set(plots_of(evaluation, [])) == {"confusion", "reliability"}
    assert "no picture" in set(tables_of(evaluation)["slices"]["value"])


def test_a_model_of_signals_answers_to_a_file_of_signals_and_cuts_a_long_one(
    without_videos: tuple[pd.DataFrame, Store, ModelFolder], recordings: Path, tmp_path: Path
) -> None:
    recogniser = Recogniser.load(without_videos[2].path)
    answer = recogniser.predict(recordings / "Down" / "v_Down_g01_c01.csv")
    assert (answer.label, answer.video.duration_s, answer.video.width) == ("Down", pytest.approx(0.8), 0)
    times = np.linspace(0, 1.6, 160)
    values = np.stack([60 + 9 * np.minimum(times, 1.6 - times), times % 0.8], axis=1)
    np.savez(tmp_path / "long.npz", time=times + 7, values=values, columns=["x", "y"])
    segments = recogniser.predict(tmp_path / "long.npz").segments
    assert (segments[0].label, segments[-1].label, segments[0].start_s) == ("Up", "Down", 0)
    assert segments[-1].end_s == pytest.approx(1.6)


def test_a_model_that_sees_needs_a_video(fused: tuple[ModelParams, ModelFolder], recordings: Path) -> None:
    with pytest.raises(SignalError, match=r"This model needs a video\. Received: 'v_Up_g01_c01\.csv', which holds"):
        ActionClassifier.load(fused[1].path).recognise(recordings / "Up" / "v_Up_g01_c01.csv")


def test_no_other_encoder_takes_clips_without_pictures(recordings: Path) -> None:
    index = index_videos(recordings)
    check_pictures(index, "signals")
    for encoder in ("audio+signals", SEES):
        with pytest.raises(DatasetError, match=rf"Received: 'Down/.*csv' with encoder '{re.escape(encoder)}'"):
            check_pictures(index, encoder)
