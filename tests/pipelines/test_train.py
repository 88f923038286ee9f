import logging

import pandas as pd
import pytest

from actreel.config import load_params
from pipelines.train import Fitted, better
from tests.conftest import ROOT

LRCN = load_params(ROOT / "params.yaml").model


def curve(accuracy: float) -> pd.DataFrame:
    """Of three epochs, the second is kept."""
    return pd.DataFrame({"epoch": [1, 2, 3], "val_loss": [2.0, 1.0, 1.5], "val_accuracy": [0.5, accuracy, 0.99]})


@pytest.mark.parametrize(
    ("with_order", "without", "chosen"),
    [(0.8, 0.7, "lstm"), (0.7, 0.8, "mean"), (0.8, 0.8, "mean"), (0.8000001, 0.8, "mean"), (1.0, 0.9, "lstm")],
)
def test_the_better_on_the_validation_clips_becomes_the_model_and_a_tie_goes_to_the_cheaper_one(
    with_order: float, without: float, chosen: str, caplog: pytest.LogCaptureFixture
) -> None:
    network, baseline = (
        Fitted(each, None, curve(accuracy))  # type: ignore[arg-type]
        for each, accuracy in ((LRCN, with_order), (LRCN.order_blind, without))
    )
    with caplog.at_level(logging.INFO):
        first, second = better(network, baseline)
    assert first.network.head == chosen
    assert {first.network.head, second.network.head} == {"lstm", "mean"}
    assert f"the model is small_cnn + {chosen}" in caplog.text
