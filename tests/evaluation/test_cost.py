from pathlib import Path

import numpy as np
import pytest

from actreel.config import ClipSpec, ModelParams
from actreel.evaluation.cost import count_flops, machine, time_clip
from actreel.models import build_model, export_onnx
from actreel.quiet_keras import keras
from tests.conftest import write_model_folder

T, SIDE, UNITS, CLASSES = 4, 16, 5, 3
SPEC = ClipSpec(num_frames=T, height=SIDE, width=SIDE)
CLIP = np.zeros((1, *SPEC.shape), dtype=np.uint8)

# small_cnn on 16 pixels: 16, 32, 64, 64 filters of 3x3, pooled by 4, 4, then at one pixel; 64 features.
SMALL_CNN = T * 9 * (SIDE**2 * 3 * 16 + (SIDE // 4) ** 2 * 16 * 32 + 32 * 64 + 64 * 64)


def gates(number: int, inputs: int) -> int:
    return T * number * UNITS * (inputs + UNITS)


@pytest.mark.parametrize(
    ("encoder", "head", "multiply_adds"),
    [
        ("small_cnn", "bilstm", SMALL_CNN + 2 * gates(4, 64) + 2 * UNITS * CLASSES),
        ("small_cnn", "gru", SMALL_CNN + gates(3, 64) + UNITS * CLASSES),  # a loop in ONNX
        (
            "pixels",
            "cnn3d_attention_lstm",
            27 * T * (SIDE**2 * 3 * 16 + (SIDE // 2) ** 2 * 16 * 32 + (SIDE // 4) ** 2 * 32 * 64)
            + gates(4, 64) + T * UNITS * UNITS + T * UNITS + UNITS * CLASSES,
        ),
    ],
)  # fmt: skip
def test_flops_match_a_count_by_hand(encoder: str, head: str, multiply_adds: int, tmp_path: Path) -> None:
    values = {"encoder": encoder, "weights": "none", "head": head, "motion": "none", "units": UNITS, "dropout": 0.1}
    export_onnx(build_model(ModelParams.model_validate(values), SPEC, CLASSES), tmp_path / "model.onnx")
    assert count_flops(tmp_path / "model.onnx", CLIP) == 2 * multiply_adds


def test_depthwise_convolutions_are_counted_by_channel(tmp_path: Path) -> None:
    clip = keras.Input(SPEC.shape[1:], dtype="uint8")
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(keras.layers.Rescaling(1 / 255)(clip))
    x = keras.layers.SeparableConv2D(6, 5, padding="valid")(x)
    export_onnx(keras.Model(clip, keras.layers.Dense(7)(keras.layers.Flatten()(x))), tmp_path / "model.onnx")
    depthwise, separable, dense = 8 * 8 * 3 * 9, 4 * 4 * 3 * 25 + 4 * 4 * 3 * 6, 4 * 4 * 6 * 7
    assert count_flops(tmp_path / "model.onnx", CLIP[:, 0]) == 2 * (depthwise + separable + dense)


def test_time_is_measured_on_this_machine(tmp_path: Path) -> None:
    model = write_model_folder(tmp_path / "model", SPEC, ("dark", "bright")) / "model.onnx"
    assert 0 < time_clip(model, CLIP) < 1000
    assert machine()
