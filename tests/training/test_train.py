from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams, TrainParams, load_params
from actreel.dataset.records import clips_of, index_videos
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import StoredClips, extract_clips, write_store
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier, ClassifierCard, Provenance
from actreel.models import HEAD, export_onnx
from actreel.quiet_keras import keras
from actreel.training import fitting
from actreel.training.calibration import sharpened
from actreel.training.features import StoredFeatures
from actreel.training.fitting import learning_rate, steps_at_once
from actreel.training.train import apply_temperature, epoch_models, predict, targets_of, train
from tests.conftest import ROOT, train_params

SPEC = ClipSpec(num_frames=4, height=16, width=16)
LSTM = ModelParams(encoder="small_cnn", weights="none", head="lstm", motion="none", units=16, dropout=0.0)
# Built in half the time, where it does not matter what is learned.
MEAN = LSTM.model_copy(update={"head": "mean", "dropout": 0.2})
# In a fifth, where it does not matter what learns either.
HEAD_ALONE = MEAN.model_copy(update={"encoder": "efficientnet_lite0", "weights": "imagenet", "dropout": 0.0})

LABELS = ["Brighten", "Darken"]


def params_of(**changes: Any) -> TrainParams:
    small = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "patience": 30}
    return train_params(**small | changes)


@pytest.fixture(scope="module")
def index(fading_dataset: Path) -> pd.DataFrame:
    index = index_videos(fading_dataset)
    split = load_params(ROOT / "params.yaml").split
    index["split"] = assign_splits(index, split)
    return index


@pytest.fixture(scope="module")
def store(index: pd.DataFrame, fading_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> StoredClips:
    folder = tmp_path_factory.mktemp("clips")
    extract_clips(index, fading_dataset, folder, SPEC)
    return StoredClips(folder)


@pytest.fixture(scope="module")
def encoded(index: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> StoredFeatures:
    """Features that tell nothing of the clips."""
    folder = tmp_path_factory.mktemp("features")
    views = iter(np.random.default_rng(0).normal(0, 1, (len(index), 1, SPEC.num_frames, 6)).astype(np.float32))
    write_store(index, folder, {"clip": SPEC.model_dump(), "encoder": HEAD_ALONE.encoder}, lambda names: views)
    return StoredFeatures(folder)


@pytest.fixture(scope="module")
def rows(index: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {split: clips_of(index, split) for split in ("train", "val", "test")}


def test_a_refit_learns_from_the_validation_clips_too(encoded: StoredFeatures, rows: dict[str, pd.DataFrame]) -> None:
    refitted, curve = train(HEAD_ALONE, params_of(epochs=1, refit=True), encoded, rows, LABELS)
    both = pd.concat([rows["train"], rows["val"]], ignore_index=True)
    at_once, _ = train(HEAD_ALONE, params_of(epochs=1), encoded, {"train": both, "val": rows["val"]}, LABELS)
    assert len(curve) == 1
    for weights, expected in zip(refitted.get_weights(), at_once.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_what_is_learned_from_mixed_and_varied_clips_is_judged_on_plain_ones(
    store: StoredClips, rows: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    params = params_of(
        epochs=24, mixup=0.2, label_smoothing=0.1, crop=0.2, colour=0.1, speed=0.2, jitter=0.5, schedule="cosine",
        warmup=2, precision="mixed_bfloat16",
    )  # fmt: skip
    model, curve = train(LSTM, params, store, rows, LABELS)
    answers = predict(model, store, rows["test"], 8).argmax(axis=1)
    assert (np.array(LABELS)[answers] == rows["test"]["action"]).all()
    targets = targets_of(rows["val"], LABELS)
    plain = predict(model, store, rows["val"], 8)[np.arange(len(targets)), targets]
    # The log of plain float32 arithmetic, with targets that are neither mixed nor smoothed.
    assert -np.log(plain).mean() == pytest.approx(curve["val_loss"].min(), abs=0.02)
    assert {layer.dtype_policy.name for layer in model._flatten_layers()} == {"float32"}
    export_onnx(model, tmp_path / "model.onnx")
    provenance = Provenance(dataset="x", data_version="x", run_id="x", git_commit="x", trained_at="x")
    ClassifierCard(labels=tuple(LABELS), clip=SPEC, provenance=provenance).save(tmp_path)
    onnx = ActionClassifier.load(tmp_path).score(store.take(rows["test"]["clip"])).probabilities
    np.testing.assert_allclose(onnx, predict(model, store, rows["test"], 3), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({}, [0.01, 0.01, 0.01]),
        ({"warmup": 2}, [0.0005, 0.00525, 0.01]),
        ({"schedule": "cosine"}, [0.01, 0.005, 0.0]),
        ({"schedule": "cosine", "warmup": 2}, [0.0005, 0.00525, 0.0]),
    ],
)
def test_the_learning_rate_rises_and_falls(changes: dict[str, Any], rates: list[float]) -> None:
    schedule = learning_rate(params_of(epochs=10, **changes), 10)
    steps = (0, 10 if "warmup" in changes else 50, 100)
    shown = [schedule if isinstance(schedule, float) else float(schedule(step)) for step in steps]
    assert shown == pytest.approx(rates, abs=1e-7)


@pytest.fixture(scope="module")
def trained(
    store: StoredClips, rows: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> tuple[keras.Model, pd.DataFrame, Path]:
    """The mean after three epochs, its curve, and the folder of each epoch's weights."""
    folder = tmp_path_factory.mktemp("epochs")
    return *train(MEAN, params_of(epochs=3), store, rows, LABELS, epoch_weights=folder), folder


def test_the_same_seed_gives_the_same_weights(
    trained: tuple[keras.Model, pd.DataFrame, Path], store: StoredClips, rows: dict[str, pd.DataFrame]
) -> None:
    first, second, other = (
        np.concatenate([weights.ravel() for weights in model.get_weights()])
        for model in (
            trained[0],
            *(train(MEAN, params_of(epochs=3, seed=seed), store, rows, LABELS)[0] for seed in (0, 1)),
        )
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_a_temperature_ends_up_in_the_weights(
    trained: tuple[keras.Model, pd.DataFrame, Path], store: StoredClips, rows: dict[str, pd.DataFrame]
) -> None:
    model = keras.models.clone_model(trained[0])
    model.set_weights(trained[0].get_weights())
    before = predict(model, store, rows["test"], 8)
    apply_temperature(model, 2.0)
    np.testing.assert_allclose(predict(model, store, rows["test"], 8), sharpened(before, 0.5), atol=1e-5)


def test_weights_of_every_epoch_are_kept(
    trained: tuple[keras.Model, pd.DataFrame, Path], store: StoredClips, rows: dict[str, pd.DataFrame]
) -> None:
    model, curve, folder = trained
    assert curve["epoch"].tolist() == [1, 2, 3]
    last = [weights.copy() for weights in model.get_weights()]
    places = np.arange(len(rows["val"])), targets_of(rows["val"], LABELS)
    losses = [
        float(-np.log(predict(then, store, rows["val"], 8)[places]).mean()) for then in epoch_models(model, folder)
    ]
    np.testing.assert_allclose(losses, curve["val_loss"], rtol=1e-4)
    assert len(losses) == 3
    assert last[0].shape == model.get_weights()[0].shape


def test_taking_steps_at_once_takes_the_same_steps(
    encoded: StoredFeatures, rows: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = [steps_at_once(steps, 60) for steps in (1, 16, 23, 24, 48, 50)]
    assert at_once == [1, 16, 1, 12, 16, 10]
    assert (steps_at_once(10, 5), steps_at_once(10, 6)) == (1, 10)
    params = params_of(epochs=2, batch_size=5)
    monkeypatch.setattr(fitting, "FEW_STEPS", 0)
    assert steps_at_once(len(rows["train"]) // 5, 2) > 1

    def weights() -> list[np.ndarray]:
        return train(HEAD_ALONE, params, encoded, rows, LABELS)[0].get_weights()

    together = weights()
    monkeypatch.setattr(fitting, "MOST_STEPS_AT_ONCE", 1)
    for ours, theirs in zip(weights(), together, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loss_that_is_no_number_is_a_message(encoded: StoredFeatures, rows: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(ModelError, match=r"diverged: the loss is nan in epoch 1.*train\.learning_rate \(now 1e\+38\)"):
        train(HEAD_ALONE, params_of(learning_rate=1e38, epochs=4), encoded, rows, LABELS)


@pytest.mark.parametrize("prefix", ["", "fine_tuned-"])
def test_epochs_come_in_order_beyond_999(tmp_path: Path, prefix: str) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name=HEAD)])
    for epoch in (999, 1000, 1001, 2):
        model.layers[0].set_weights([np.array([[float(epoch)]])])
        model.save_weights(tmp_path / f"{prefix}{epoch:03d}.weights.h5")
    epochs = [then.get_weights()[0].item() for then in epoch_models(model, tmp_path)]
    assert epochs == [2, 999, 1000, 1001]
