"""What is built: frozen encoders, heads that are trained upon them, and nothing that trains by accident."""

from pathlib import Path

import numpy as np
import pytest

from actreel.models import HEAD, NORMALISE, PRETRAINED, build_encoder, build_head, build_model
from tests.models.networks import (
    CLIPS,
    FEATURES,
    SPEC,
    assert_onnx_equals_keras,
    assert_saved_is_equal,
    params_of,
    tiny_encoder,
)

SMALL = SPEC.model_copy(update={"height": 16, "width": 16})
SMALL_CLIPS = CLIPS[:, :, ::2, 4:36:2]


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network in place of EfficientNet-Lite0, which tests/training/test_features.py exports."""
    monkeypatch.setitem(PRETRAINED, "efficientnet_lite0", tiny_encoder)


@pytest.mark.usefixtures("_tiny")
def test_a_frozen_model_trains_its_head_alone_and_is_one_onnx_graph(tmp_path: Path) -> None:
    model = build_model(params_of("efficientnet_lite0", "bilstm", "difference", "imagenet"), SMALL, 4)
    assert_onnx_equals_keras(model, SMALL_CLIPS, tmp_path / "model.onnx")
    assert_saved_is_equal(model, SMALL_CLIPS, tmp_path / "model.keras")
    assert len(model.trainable_weights) == len(model.get_layer(HEAD).trainable_weights)


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_outside_training_there_is_no_dropout_and_no_batch_statistics(weights: str) -> None:
    model = build_model(params_of("efficientnet_lite0", "mean", weights=weights), SMALL, 3)
    np.testing.assert_array_equal(model(SMALL_CLIPS), model(SMALL_CLIPS))
    np.testing.assert_allclose(model(SMALL_CLIPS)[:1], model(SMALL_CLIPS[:1]), atol=1e-5)


def test_only_heads_on_frozen_features_normalise_them() -> None:
    frozen = build_head(params_of("efficientnet_lite0", "mean", weights="imagenet"), (SPEC.num_frames, 24), 4)
    trained = build_head(params_of("small_cnn", "mean"), (SPEC.num_frames, 24), 4)
    assert [NORMALISE in [layer.name for layer in head.layers] for head in (frozen, trained)] == [True, False]
    assert not frozen.get_layer(NORMALISE).trainable_weights
    np.testing.assert_allclose(np.asarray(frozen(FEATURES)).sum(axis=1), 1, rtol=1e-5)


def test_an_encoder_trained_with_motion_takes_six_channels() -> None:
    assert build_encoder(params_of("small_cnn", "lstm", "difference"), SPEC).input_shape == (None, 32, 40, 6)
    assert build_encoder(params_of("small_cnn", "lstm"), SPEC).input_shape == (None, 32, 40, 3)
