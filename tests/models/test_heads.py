"""Every head: ONNX gives what Keras gives, a saved model is the same, and only the mean ignores order."""

from pathlib import Path

import numpy as np
import pytest

from actreel.config import FRAME_HEADS
from actreel.models import CLIP_NORMALISE, build_head, build_model
from actreel.quiet_keras import keras
from tests.models.networks import (
    CLIPS,
    FEATURES,
    SPEC,
    assert_onnx_equals_keras,
    assert_saved_is_equal,
    params_of,
    sharpen,
)


# An encoder is joined to every head in the same way.
@pytest.mark.parametrize(("head", "motion"), [("lstm", "difference"), ("transformer", "none")])
def test_onnx_and_a_saved_model_equal_keras_for_a_whole_network(head: str, motion: str, tmp_path: Path) -> None:
    model = build_model(params_of("small_cnn", head, motion), SPEC, 4)
    sharpen(model)
    assert_onnx_equals_keras(model, CLIPS, tmp_path / "model.onnx")
    assert_saved_is_equal(model, CLIPS, tmp_path / "model.keras")


@pytest.mark.parametrize("head", FRAME_HEADS)
def test_onnx_and_a_saved_model_equal_keras_for_every_head(head: str, tmp_path: Path) -> None:
    model = build_head(params_of("efficientnet_lite0", head, "difference", "imagenet"), (SPEC.num_frames, 24), 4)
    assert_onnx_equals_keras(model, FEATURES, tmp_path / "head.onnx")
    assert_saved_is_equal(model, FEATURES, tmp_path / "head.keras")


def test_only_the_mean_ignores_order() -> None:
    backwards = CLIPS[:, ::-1]
    for head in FRAME_HEADS:
        model = build_model(params_of("small_cnn", head), SPEC, 3)
        sharpen(model)
        same = np.allclose(model(CLIPS), model(backwards), atol=1e-5)
        assert same == (head == "mean"), head


def test_a_probe_of_moments_sees_mean_deviation_and_how_fast_each_feature_changes() -> None:
    model = build_head(params_of("efficientnet_lite0", "moments_probe", weights="imagenet"), (SPEC.num_frames, 24), 4)
    layer = model.get_layer(CLIP_NORMALISE)
    normalised = keras.Model(model.input, model.get_layer("normalise").output)(FEATURES)
    seen = np.asarray(normalised)
    change = np.abs(np.diff(seen, axis=1)).mean(axis=1)
    expected = np.concatenate([seen.mean(axis=1), seen.std(axis=1), change], axis=1)
    np.testing.assert_allclose(keras.Model(model.input, layer.input)(FEATURES), expected, atol=1e-4)


def test_moments_of_one_frame_are_numbers() -> None:
    spec = SPEC.model_copy(update={"num_frames": 1})
    model = build_head(params_of("efficientnet_lite0", "moments_probe", weights="imagenet"), (spec.num_frames, 24), 4)
    assert np.isfinite(np.asarray(model(FEATURES[:, :1]))).all()


def test_the_baseline_of_a_probe_is_a_probe() -> None:
    params = params_of("efficientnet_lite0", "statistics_probe", "difference", weights="imagenet")
    assert (params.order_blind.head, params.order_blind.motion) == ("mean_probe", "none")
    assert params.model_copy(update={"head": "lstm"}).order_blind.head == "mean"


def test_the_order_blind_baseline_ignores_order() -> None:
    for params in (params_of("small_cnn", "lstm", "difference"), params_of("pixels", "convlstm", "difference")):
        model = build_model(params.order_blind, SPEC, 3)
        np.testing.assert_allclose(model(CLIPS), model(CLIPS[:, [3, 0, 4, 2, 1]]), atol=1e-5)
