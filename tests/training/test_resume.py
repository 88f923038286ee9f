"""A training that was killed goes on where it was, and ends with the same weights, bit for bit."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams, TrainParams
from actreel.dataset.store import write_store
from actreel.quiet_keras import keras
from actreel.training.features import StoredFeatures
from actreel.training.resume import Progress, resume_folder
from actreel.training.train import train
from tests.conftest import EditCode, train_params

SPEC = ClipSpec(num_frames=4, height=8, width=8)
MODEL = ModelParams(
    encoder="efficientnet_lite0", weights="imagenet", head="mean", motion="difference", units=4, dropout=0.3
)
LABELS = ["a", "b"]
INDEX = pd.DataFrame({"clip": [f"{place:02d}" for place in range(30)]})
INDEX["action"] = [LABELS[place % 2] for place in range(30)]
INDEX["sha256"] = INDEX["clip"]
INDEX["split"] = ["val" if place < 10 else "train" for place in range(30)]
ROWS = {split: rows.reset_index(drop=True) for split, rows in INDEX.groupby("split")}


class KilledError(Exception):
    pass


def params_of(**changes: Any) -> TrainParams:
    small = {
        "epochs": 12,
        "batch_size": 8,
        "learning_rate": 0.1,
        "schedule": "cosine",
        "warmup": 1,
        "patience": 2,
        "mirror": True,
        "speed": 0.5,
        "mixup": 0.2,
        "balance": True,
        "refit": True,
        "seed": 2,  # which stops early: the clips are noise
    }
    return train_params(**small | changes)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> StoredFeatures:
    folder = tmp_path_factory.mktemp("features")
    views = iter(np.random.default_rng(0).normal(0, 1, (len(INDEX), 2, 4, 6)).astype(np.float32))
    write_store(INDEX, folder, {"clip": SPEC.model_dump(), "encoder": "efficientnet_lite0"}, lambda names: views)
    return StoredFeatures(folder)


def test_a_killed_training_ends_as_if_it_had_not_been(features: StoredFeatures, tmp_path: Path) -> None:
    params = params_of()
    expected, whole_curve = train(MODEL, params, features, ROWS, LABELS)
    last = len(whole_curve)
    assert 3 < last < params.epochs, "early stopping is to be seen"
    seen: list[int] = []

    def killed_in_the_last(epoch: int, metrics: Any) -> None:
        seen.append(epoch)
        if len(seen) == last:
            raise KilledError

    arguments = (MODEL, params, features, ROWS, LABELS)
    with pytest.raises(KilledError):
        train(*arguments, resume=tmp_path, epoch_weights=tmp_path / "epochs", on_epoch=killed_in_the_last)
    fitted, curve = train(*arguments, resume=tmp_path, epoch_weights=tmp_path / "epochs", on_epoch=killed_in_the_last)
    assert seen == [*range(1, last), last, last]
    pd.testing.assert_frame_equal(curve, whole_curve)
    again, same_curve = train(*arguments, resume=tmp_path, on_epoch=killed_in_the_last)
    assert len(seen) == last + 1, "what is done is not done again"
    pd.testing.assert_frame_equal(same_curve, whole_curve)
    for network in (fitted, again):
        for weights, wanted in zip(network.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, wanted)
    assert len(list((tmp_path / "epochs").iterdir())) == last


def test_another_training_starts_over(features: StoredFeatures, tmp_path: Path, edit_code: EditCode) -> None:
    def folder(**changes: Any) -> Path:
        given = {"model_params": MODEL, "params": params_of(), "store": features, "index": INDEX} | changes
        return resume_folder(tmp_path / "training", **given)

    (folder() / "fit.npz").write_bytes(b"")
    assert (folder() / "fit.npz").exists()
    others: list[dict[str, Any]] = [
        {"params": params_of(learning_rate=0.01)},
        {"model_params": MODEL.model_copy(update={"units": 5})},
        {"index": INDEX.assign(sha256="changed")},
        {"index": INDEX.iloc[1:]},
    ]
    for change in others:
        (folder() / "fit.npz").write_bytes(b"")
        assert not (folder(**change) / "fit.npz").exists(), change
    (folder() / "fit.npz").write_bytes(b"")
    edit_code("training/augment.py", "0.0, 255.0", "0.0, 254.0")
    assert not (folder() / "fit.npz").exists()


@pytest.mark.parametrize("size", [0, 100, -100])
def test_a_damaged_state_is_told_and_the_training_starts_over(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    file = tmp_path / "fit.npz"
    written = Progress(None, file)
    written.set_model(model)
    model.optimizer.build(model.trainable_variables)
    written.on_epoch_end(0, {"loss": 1.0})
    assert Progress(None, file).restore(model) == 1
    os.truncate(file, size % file.stat().st_size)
    before = model.get_weights()
    assert Progress(None, file).restore(model) == 0
    assert "fit.npz' is damaged or was not written completely" in caplog.text
    assert all((now == then).all() for now, then in zip(model.get_weights(), before, strict=True))
