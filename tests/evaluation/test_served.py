from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.typing import NDArray
from onnx import helper

from actreel.config import ClipSpec
from actreel.dataset.store import Store, StoredClips, write_store
from actreel.errors import ModelError
from actreel.evaluation import served as served_scores
from actreel.evaluation.served import check_parity, score, score_views
from actreel.inference.classifier import ActionClassifier
from actreel.training.features import StoredFeatures
from actreel.video.clips import load_clip, load_views
from tests.conftest import grey_frames, write_model_folder, write_video_file
from tests.pose_model import NETWORK

LEVELS = {"a.avi": range(85, 165, 4), "b.avi": range(175, 95, -4)}
ROWS = pd.DataFrame({"clip": list(LEVELS), "action": "x", "sha256": ["0", "1"]})


@pytest.fixture
def store(tmp_path: Path, spec: ClipSpec) -> StoredClips:
    """Two clips, whose videos lie beside it in the folder `videos`."""
    videos = [write_video_file(tmp_path / "videos" / name, grey_frames(light)) for name, light in LEVELS.items()]
    frames = [load_clip(video, spec) for video in videos]
    write_store(ROWS, tmp_path / "clips", {"clip": spec.model_dump()}, lambda _: iter(frames))
    return StoredClips(tmp_path / "clips")


def test_stored_frames_and_videos_give_the_same_scores(tmp_path: Path, spec: ClipSpec, store: StoredClips) -> None:
    model = write_model_folder(tmp_path / "model", spec, ("dark", "bright"))
    stored = score(ActionClassifier.load(model), store, ROWS, tmp_path / "videos").probabilities
    assert stored.argmax(axis=1).tolist() == [0, 1]

    # Another size, so that the store cannot be used; grey frames are the same in any size.
    larger = write_model_folder(tmp_path / "larger", spec.model_copy(update={"height": 40}), ("dark", "bright"))
    decoded = score(ActionClassifier.load(larger), store, ROWS, tmp_path / "videos").probabilities
    np.testing.assert_allclose(decoded, stored, atol=1e-3)

    videos = [tmp_path / "videos" / name for name in LEVELS]
    np.testing.assert_allclose(score_views(model, videos, 1), stored, atol=1e-6)
    classifier = ActionClassifier.load(model)
    expected = [classifier.score(load_views(video, spec, 3)).probabilities.mean(axis=0) for video in videos]
    np.testing.assert_allclose(score_views(model, videos, 3), expected, atol=1e-6)
    assert not np.allclose(expected, stored, atol=1e-5)
    # The middle one of an odd number need not be scored again.
    np.testing.assert_allclose(score_views(model, videos, 3, stored), expected, atol=1e-6)
    np.testing.assert_allclose(score_views(model, videos, 2, stored), score_views(model, videos, 2), atol=1e-6)
    assert (score_views(model, [tmp_path / "missing.avi"], 1, stored) == stored[:1]).all()


def store_features(
    folder: Path, store: StoredClips, encode: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> Store:
    """A store of what `encode` gives for each clip of the store."""
    made_with = {**store.made_with, "encoder": "tests"}
    write_store(ROWS, folder, made_with, lambda names: (encode(store.take([name])[0])[np.newaxis] for name in names))
    return StoredFeatures(folder, store)


def test_stored_features_are_scored_by_the_head_alone(
    tmp_path: Path, spec: ClipSpec, store: StoredClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = ActionClassifier.load(write_model_folder(tmp_path / "model", spec, ("dark", "bright"), in_parts=True))
    expected = score(classifier, store, ROWS, tmp_path / "videos").probabilities
    features = store_features(tmp_path / "features", store, classifier.encode)
    encoded: list[int] = []
    encode = classifier.encode
    monkeypatch.setattr(served_scores, "COMPARED_CLIPS", 1)
    monkeypatch.setattr(classifier, "encode", lambda *given: encoded.append(1) or encode(*given))
    np.testing.assert_allclose(score(classifier, features, ROWS, tmp_path).probabilities, expected, atol=1e-6)
    assert len(encoded) == 1


def test_features_of_another_encoder_are_not_used(tmp_path: Path, spec: ClipSpec, store: StoredClips) -> None:
    classifier = ActionClassifier.load(write_model_folder(tmp_path / "model", spec, ("dark", "bright"), in_parts=True))
    expected = score(classifier, store, ROWS, tmp_path / "videos").probabilities
    others = {"moved": lambda frames: classifier.encode(frames) + 0.01, "short": lambda frames: np.ones((8, 5), "f4")}
    for name, encode in others.items():
        features = store_features(tmp_path / name, store, encode)
        np.testing.assert_array_equal(score(classifier, features, ROWS, tmp_path).probabilities, expected)


@pytest.mark.parametrize(("encoder", "compared"), [("efficientnet_lite0", 2), ("pose", 8)])
def test_features_are_compared_by_whole_clips_where_frames_depend_on_those_beside(
    tmp_path: Path, spec: ClipSpec, store: StoredClips, monkeypatch: pytest.MonkeyPatch, encoder: str, compared: int
) -> None:
    folder = write_model_folder(tmp_path / "model", spec, ("dark", "bright"), in_parts=True)
    card = ActionClassifier.load(folder).card
    card.model_copy(update={"network": NETWORK.model_copy(update={"encoder": encoder})}).save(folder)
    classifier = ActionClassifier.load(folder)
    encode, seen = classifier.encode, set[int]()

    def followed(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.add(len(frames))
        return np.cumsum(encode(frames), axis=0) if encoder == "pose" else encode(frames)

    features = store_features(tmp_path / "features", store, followed)
    seen.clear()
    monkeypatch.setattr(classifier, "encode_clip", followed)
    assert served_scores.encodes_as(classifier, features, ROWS["clip"][:2].tolist())
    assert seen == {compared}


def tamper(network: Path, sharpness: float) -> None:
    """Makes a network of `write_model_folder` more, or less, confident."""
    model = onnx.load(network)
    (index,) = (index for index, tensor in enumerate(model.graph.initializer) if tensor.name == "sharpness")
    model.graph.initializer[index].CopyFrom(helper.make_tensor("sharpness", onnx.TensorProto.FLOAT, [], [sharpness]))
    onnx.save(model, network)


@pytest.mark.parametrize("sharpness", [-41.0, float("nan")])
@pytest.mark.parametrize(("name", "words"), [("model.onnx", r"in model\.onnx"), ("head.onnx", "that the service runs")])
def test_every_exported_network_must_match_keras(
    tmp_path: Path, spec: ClipSpec, store: StoredClips, name: str, words: str, sharpness: float
) -> None:
    model = write_model_folder(tmp_path / "model", spec, ("dark", "bright"), in_parts=True)

    def check(expected: NDArray[np.float32]) -> float:
        served = score(ActionClassifier.load(model), store, ROWS, tmp_path / "videos").probabilities
        return check_parity(model, store, ROWS, tmp_path / "videos", served=served, expected=expected, tolerance=1e-4)

    expected = score(ActionClassifier.load(model, whole=True), store, ROWS, tmp_path / "videos").probabilities
    assert check(expected) < 1e-6
    assert check(expected + np.float32(5e-5)) == pytest.approx(5e-5, rel=0.01)
    tamper(model / name, sharpness)
    with pytest.raises(ModelError, match=rf"network {words} differs .* allows 0\.0001"):
        check(expected)


def test_the_whole_network_scores_the_first_clips_only(
    tmp_path: Path, spec: ClipSpec, store: StoredClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model_folder(tmp_path / "model", spec, ("dark", "bright"), in_parts=True)
    rows, videos = ROWS[::-1], tmp_path / "videos"
    expected = score(ActionClassifier.load(model), store, rows, videos).probabilities
    tamper(model / "model.onnx", -41.0)
    whole = score(ActionClassifier.load(model, whole=True), store, rows, videos).probabilities
    first, second = np.abs(whole - expected).max(axis=1)
    assert 0 < first < 0.99 * second
    monkeypatch.setattr(served_scores, "WHOLE_CLIPS", 1)
    parity = check_parity(model, store, rows, videos, served=expected, expected=expected, tolerance=1.0)
    assert parity == pytest.approx(first)
