"""Fine-tuning: the last blocks of a frozen encoder learn from frames, and only where that lowers the validation loss.

A tiny network stands in for EfficientNet, which takes minutes; tests/models tells which of its layers would learn.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams
from actreel.dataset.store import StoredClips, write_store
from actreel.errors import ModelError
from actreel.models import ENCODER, HEAD, PRETRAINED, build_encoder, export_onnx
from actreel.quiet_keras import keras
from actreel.training.features import StoredFeatures, encode_clips, open_inputs
from actreel.training.train import complete, epoch_models, fitted_part, predict, train
from tests.conftest import train_params
from tests.models.networks import tiny_encoder

SPEC = ClipSpec(num_frames=2, height=16, width=16)
MODEL = ModelParams(encoder="efficientnet_lite0", weights="imagenet", head="mean", motion="none", units=4, dropout=0.1)
PARAMS = train_params(
    epochs=2,
    batch_size=4,
    learning_rate=0.01,
    patience=5,
    fine_tune=1,
    fine_tune_epochs=2,
    fine_tune_rate=0.01,
    crop=0.1,
)
LABELS = ["Dark", "Light"]
INDEX = pd.DataFrame({"clip": [f"{place:02d}" for place in range(12)]})
INDEX["action"] = [LABELS[place % 2] for place in range(12)]
INDEX["sha256"] = INDEX["clip"]
ROWS = {"train": INDEX[:8], "val": INDEX[8:].reset_index(drop=True)}


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRETRAINED, MODEL.encoder, tiny_encoder)
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> StoredFeatures:
    folder = tmp_path_factory.mktemp("stores")
    rng = np.random.default_rng(0)
    frames = (rng.integers(0, 100, SPEC.shape, dtype=np.uint8) + np.uint8(80 * (place % 2)) for place in range(12))
    write_store(INDEX, folder / "clips", {"clip": SPEC.model_dump()}, lambda names: frames)
    encode_clips(
        INDEX, StoredClips(folder / "clips"), folder / "features",
        encoder=MODEL.encoder, weights=MODEL.weights, mirror=False,
    )  # fmt: skip
    stored = open_inputs(folder / "clips", folder / "features")
    assert isinstance(stored, StoredFeatures)
    return stored


def test_the_last_block_learns_and_the_rest_stays(inputs: StoredFeatures, tmp_path: Path) -> None:
    told: list[int] = []
    fitted, curve = train(
        MODEL, PARAMS, inputs, ROWS, LABELS,
        epoch_weights=tmp_path / "epochs", on_epoch=lambda epoch, metrics: told.append(epoch),
    )  # fmt: skip
    assert told == curve["epoch"].tolist() == [1, 2, 3, 4]
    assert curve["val_loss"][2:].min() < curve["val_loss"][:2].min()
    pairs = zip(build_encoder(MODEL, SPEC).weights, fitted.get_layer(ENCODER).weights, strict=True)
    changed = {before.path.split("/")[-2] for before, after in pairs if (before.numpy() != after.numpy()).any()}
    assert changed == {"_blocks-2-_conv"}

    assert complete(MODEL, SPEC, fitted) is fitted
    fitted.save(tmp_path / "model.keras")
    model = fitted_part(keras.models.load_model(tmp_path / "model.keras"), inputs)
    probabilities = predict(model, inputs, ROWS["val"], 3)
    clips = inputs.frames.take(ROWS["val"]["clip"].tolist()) if inputs.frames else None
    np.testing.assert_allclose(probabilities, fitted(clips), atol=1e-6)
    export_onnx(fitted, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"clip": clips})[0], probabilities, atol=1e-4)

    then = [predict(part, inputs, ROWS["val"], 4) for part in epoch_models(model, tmp_path / "epochs")]
    targets = np.array([LABELS.index(action) for action in ROWS["val"]["action"]])
    losses = [-np.log(part[np.arange(len(targets)), targets]).mean() for part in then]
    np.testing.assert_allclose(losses, curve["val_loss"], rtol=1e-3)


def test_what_makes_it_worse_is_not_kept(inputs: StoredFeatures) -> None:
    plain, _ = train(MODEL, PARAMS.model_copy(update={"fine_tune": 0, "crop": 0}), inputs, ROWS, LABELS)
    harmful = PARAMS.model_copy(update={"fine_tune_rate": 10.0, "fine_tune_epochs": 1})
    fitted, curve = train(MODEL, harmful, inputs, ROWS, LABELS)
    assert curve["val_loss"][2] > curve["val_loss"][:2].min()
    for weights, expected in zip(fitted.get_layer(HEAD).get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)
    for weights, expected in zip(
        fitted.get_layer(ENCODER).get_weights(), build_encoder(MODEL, SPEC).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weights, expected)


def test_more_blocks_than_there_are_is_a_message(inputs: StoredFeatures) -> None:
    params = PARAMS.model_copy(update={"fine_tune": 4, "epochs": 1})
    with pytest.raises(ModelError, match=r"fine_tune must be at most the encoder's 3 blocks. Received: 4"):
        train(MODEL, params, inputs, ROWS, LABELS)
