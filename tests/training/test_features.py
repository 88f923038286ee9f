"""Features: the real EfficientNet once, and a tiny network in its place where any encoder tells the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams
from actreel.dataset.records import clips_of, index_videos
from actreel.dataset.store import StoredClips, extract_clips
from actreel.errors import FileError, ModelError
from actreel.models import PRETRAINED, build_encoder
from actreel.training import encoding, features
from actreel.training.features import OpenEncoders, StoredFeatures, encode_clips, open_inputs
from actreel.training.train import complete, fitted_part, predict, train
from tests.conftest import EditCode, train_params, write_fading_dataset
from tests.models.networks import tiny_encoder

SPEC = ClipSpec(num_frames=3, height=16, width=16)
FROZEN = ModelParams(
    encoder="efficientnet_lite0", weights="imagenet", head="bilstm", motion="difference", units=8, dropout=0.0
)
LABELS = ["Brighten", "Darken"]
REAL = PRETRAINED[FROZEN.encoder]


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRETRAINED, FROZEN.encoder, tiny_encoder)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def index(folder: Path) -> pd.DataFrame:
    index = index_videos(write_fading_dataset(folder / "videos", groups=4, clips=1))
    # Of each action's four clips, a group each, the third is for validation and the last for the test.
    index["split"] = index.groupby("action").cumcount().map({0: "train", 1: "train", 2: "val", 3: "test"})
    return index


@pytest.fixture(scope="module")
def clips(folder: Path, index: pd.DataFrame) -> StoredClips:
    extract_clips(index, folder / "videos", folder / "clips", SPEC)
    return StoredClips(folder / "clips")


def encode(index: pd.DataFrame, clips: StoredClips, target: Path, **changes: Any) -> StoredFeatures:
    values = {"encoder": "efficientnet_lite0", "weights": "imagenet", "mirror": True} | changes
    encode_clips(index, clips, target, **values)
    return StoredFeatures(target)


@pytest.fixture(scope="module")
def stored(folder: Path, index: pd.DataFrame, clips: StoredClips) -> StoredFeatures:
    return encode(index, clips, folder / "features")


def test_features_are_what_the_keras_encoder_gives(
    clips: StoredClips, index: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRETRAINED, FROZEN.encoder, REAL)
    opened: OpenEncoders = {}
    stored = encode(index.iloc[2:5], clips, tmp_path, opened=opened)
    encoder = build_encoder(FROZEN, SPEC)
    names = index["clip"].tolist()[2:5]
    mirrored = [True, False, True]
    frames = clips.take(names, mirrored)
    np.testing.assert_array_equal(frames[0], clips.take(names)[0][:, :, ::-1])
    expected = np.asarray(encoder(frames.reshape(-1, *SPEC.shape[1:]))).reshape(3, SPEC.num_frames, 1280)
    np.testing.assert_allclose(stored.take(names, mirrored), expected, atol=1e-4)
    np.testing.assert_allclose(stored.take(names)[1], expected[1], atol=1e-4)
    assert np.abs(stored.take(names) - stored.take(names, mirrored)).max() > 1e-2
    # It does not matter how many frames are encoded at once.
    ((one_clip, _),) = opened.values()
    monkeypatch.setattr(encoding, "_AT_ONCE", 2)
    np.testing.assert_array_equal(one_clip(clips.take(names)[0]), stored.take(names)[0])


def test_a_second_run_encodes_only_what_is_missing(
    stored: StoredFeatures,
    clips: StoredClips,
    index: pd.DataFrame,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="actreel")
    encoded: list[str] = []
    real = features._encode_on_cores

    def counted(views: Any, names: Any, **options: Any) -> Any:
        encoded.extend(names)
        return real(views, names, **options)

    monkeypatch.setattr(features, "_encode_on_cores", counted)
    encode(index, clips, folder / "features")
    assert encoded == []
    before = stored.take(index["clip"].tolist())
    next((folder / "features").glob("Darken-*.npy")).unlink()
    again = encode(index, clips, folder / "features")
    assert encoded == [name for name in index["clip"] if name.startswith("Darken")]
    np.testing.assert_array_equal(again.take(index["clip"].tolist()), before)
    assert "encode: 4 clips at " in caplog.text


def test_a_complete_store_needs_no_encoder(
    stored: StoredFeatures, clips: StoredClips, index: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_open", None)
    encode(index, clips, folder / "features")
    with pytest.raises(TypeError):  # other settings do
        encode(index, clips, folder / "others", mirror=False)


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("models/encoders.py", "1 / 128", "1 / 127"),
        ("training/encoding.py", "intra_op_num_threads = 1", "intra_op_num_threads = 2"),
        ("training/graph_encoder.py", "        return None", "        return features"),
        ("inference/clip_encoding.py", "mean(", "max("),
        ("training/onnx_files/wrapping.py", "return ", "return 1 + "),
    ],
)
def test_features_made_by_other_code_are_encoded_again(
    stored: StoredFeatures, clips: StoredClips, index: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch,
    edit_code: EditCode, file: str, before: str, after: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(features, "_open", None)
    edit_code(file, before, after)
    with pytest.raises(TypeError):
        encode(index, clips, folder / "features")


def test_features_of_frames_made_by_other_code_are_encoded_again(
    stored: StoredFeatures, index: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_open", None)
    frames = StoredClips(folder / "clips")
    frames.made_with = frames.made_with | {"code": "other"}
    with pytest.raises(TypeError):
        encode(index, frames, folder / "features")


def test_videos_give_the_features_that_their_frames_give(
    stored: StoredFeatures, index: pd.DataFrame, folder: Path, tmp_path: Path
) -> None:
    few = index.groupby("action").head(1)
    extract_clips(few, folder / "videos", tmp_path / "clips", SPEC, keep=False)
    features = encode(few, StoredClips(tmp_path / "clips", folder / "videos"), tmp_path / "features")
    names = few["clip"].tolist()
    for mirrored in (False, True):
        flags = [mirrored] * len(names)
        np.testing.assert_allclose(features.take(names, flags), stored.take(names, flags), atol=1e-5)


@pytest.mark.parametrize("changes", [{"encoder": "small_cnn"}, {"encoder": "pixels"}, {"weights": "none"}])
def test_an_encoder_in_training_leaves_the_store_empty(
    changes: dict[str, str], clips: StoredClips, index: pd.DataFrame, tmp_path: Path, folder: Path
) -> None:
    assert len(encode(index, clips, tmp_path, **changes)) == 0
    assert isinstance(open_inputs(folder / "clips", tmp_path), StoredClips)


def test_a_head_is_fitted_to_features_and_then_joined_to_its_encoder(
    stored: StoredFeatures, clips: StoredClips, index: pd.DataFrame, folder: Path
) -> None:
    inputs = open_inputs(folder / "clips", folder / "features")
    assert isinstance(inputs, StoredFeatures)
    rows = {split: clips_of(index, split) for split in ("train", "val", "test")}
    params = train_params(epochs=2, batch_size=2, learning_rate=0.01, patience=2, mirror=True)
    fitted, _ = train(FROZEN, params, inputs, rows, LABELS)
    mean, variance = fitted.get_layer("normalise").get_weights()
    learned = inputs.take(rows["train"]["clip"].tolist()).reshape(-1, inputs.input_shape[-1])
    np.testing.assert_allclose(mean, learned.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(variance, learned.var(axis=0), atol=1e-5)
    whole = complete(FROZEN, SPEC, fitted)
    from_features = predict(fitted_part(whole, inputs), inputs, rows["test"], 2)
    from_frames = predict(fitted_part(whole, clips), clips, rows["test"], 2)
    np.testing.assert_allclose(from_features, from_frames, atol=1e-4)


def test_weights_that_are_no_file_are_a_message(
    clips: StoredClips, index: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRETRAINED, FROZEN.encoder, REAL)
    with pytest.raises(ModelError, match=r"model\.weights must be .*none\.h5"):
        encode(index, clips, tmp_path / "f", weights=str(tmp_path / "none.h5"))


def test_a_missing_store_says_what_to_run(folder: Path, clips: StoredClips, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="dvc repro extract"):
        open_inputs(tmp_path, tmp_path)
    with pytest.raises(FileError, match="dvc repro encode"):
        open_inputs(folder / "clips", tmp_path)


def test_what_is_left_out_of_a_store_cannot_be_read_from_it(
    folder: Path, stored: StoredFeatures, clips: StoredClips
) -> None:
    kept, gone = stored.clips[:2], stored.clips[2]
    few = StoredFeatures(folder / "features", clips).only(kept)
    np.testing.assert_array_equal(few.take(kept[1:]), stored.take(kept[1:]))
    assert few.clips == kept
    assert few.frames is not None
    for store in (few, few.frames):
        assert store.take(kept).shape[0] == 2
        with pytest.raises(KeyError):
            store.take([gone])
    assert stored.take([gone]).any()
