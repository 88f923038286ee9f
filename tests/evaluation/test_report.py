"""What the order of frames adds. tests/pipelines/test_pipeline.py reads the tables and plots of a whole evaluation."""

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actreel.config import load_params
from actreel.errors import ModelError
from actreel.evaluation.report import Evaluation, order_gain, pictures_of
from tests.conftest import ROOT
from tests.pose_model import NETWORK, SPEC

LRCN = load_params(ROOT / "params.yaml").model
TARGETS = np.array([0, 1] * 10)
RIGHT = np.eye(2, dtype=np.float32)[TARGETS]
ALWAYS_FIRST = np.eye(2, dtype=np.float32)[np.zeros(20, dtype=int)]


def evaluation(network: Any, probabilities: Any, runner_up: Any) -> Evaluation:
    values = dict.fromkeys(field.name for field in fields(Evaluation)) | {
        "test": pd.DataFrame({"group": [f"g{number}" for number in np.repeat(range(10), 2)]}),
        "targets": TARGETS,
        "folder": Path("artifacts/model"),
        "classifier": SimpleNamespace(card=SimpleNamespace(network=network)),
        "probabilities": probabilities,
        "runner_up": runner_up,
    }
    return Evaluation(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("network", "probabilities", "runner_up", "gain"),
    [
        (LRCN, RIGHT, ALWAYS_FIRST, 0.5),
        (LRCN.order_blind, RIGHT, ALWAYS_FIRST, -0.5),  # chosen on the validation clips
        (LRCN.order_blind, ALWAYS_FIRST, RIGHT, 0.5),
    ],
)
def test_the_gain_is_of_the_network_that_sees_order_whichever_became_the_model(
    network: Any, probabilities: Any, runner_up: Any, gain: float
) -> None:
    found = order_gain(evaluation(network, probabilities, runner_up))
    assert found["order_gain"] == gain
    assert found["order_gain_low"] < gain < found["order_gain_high"]
    assert found["order_gain_low"] * gain > 0 or found["order_gain_high"] * gain > 0


def test_a_network_that_ignores_order_is_its_own_baseline() -> None:
    alone = evaluation(LRCN.order_blind, RIGHT, None)
    assert order_gain(alone) == {}
    np.testing.assert_array_equal(alone.baseline, RIGHT)


def test_a_model_that_does_not_say_its_network_is_a_sentence() -> None:
    with pytest.raises(ModelError, match=r"does not say which network it is.*dvc repro --force train"):
        order_gain(evaluation(None, RIGHT, None))


def test_clips_of_a_model_of_landmarks_are_drawn_and_their_videos_not_opened() -> None:
    features = np.zeros((1, 8, 136), np.float32)
    inputs = SimpleNamespace(take=lambda clips: features, spec=SPEC)
    picture = pictures_of(replace(evaluation(NETWORK, RIGHT, None), inputs=inputs), "Wave/a.avi")  # type: ignore[arg-type]
    assert picture.shape == (8, 320, 320, 3)
