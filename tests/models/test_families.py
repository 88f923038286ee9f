"""Every family: ONNX gives what Keras gives, and a saved model is the same."""

from pathlib import Path

import pytest

from actreel.config import CLIP_HEADS
from actreel.models import build_model
from tests.models.networks import CLIPS, SPEC, assert_onnx_equals_keras, assert_saved_is_equal, params_of, sharpen


# With motion, ConvLSTM is what it is without, after one more layer.
@pytest.mark.parametrize(
    ("family", "motion"), [(family, "difference" if family == "convlstm" else "none") for family in CLIP_HEADS]
)
def test_onnx_and_a_saved_model_equal_keras_for_every_family(family: str, motion: str, tmp_path: Path) -> None:
    model = build_model(params_of("pixels", family, motion), SPEC, 4)
    sharpen(model)
    assert_onnx_equals_keras(model, CLIPS, tmp_path / "model.onnx")
    assert_saved_is_equal(model, CLIPS, tmp_path / "model.keras")
