from typing import Any

import pytest

from actreel.config import check_params
from actreel.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"refit": True, "fine_tune": 1}, r"train\.refit trains on .* with train\.fine_tune 1"),
        ({"warmup": 30}, r"train\.warmup must be below train\.epochs. Received: 30 with 30 epochs"),
    ],
)
def test_training_settings_must_go_together(values: dict[str, Any], changes: dict[str, Any], rule: str) -> None:
    values["train"].update(changes)
    with pytest.raises(ConfigError, match=rule):
        check_params(values, "params.yaml")


def test_heads_for_pixels_and_for_frames_are_not_interchangeable(values: dict[str, Any]) -> None:
    values["model"]["head"] = "convlstm"
    with pytest.raises(
        ConfigError, match=r"need encoder 'pixels'.* Received: encoder 'small_cnn' with head 'convlstm'"
    ):
        check_params(values, "params.yaml")


def test_the_baseline_of_a_probe_is_a_probe(values: dict[str, Any]) -> None:
    values["model"].update(encoder="efficientnet_lite0", head="statistics_probe", motion="difference")
    baseline = check_params(values, "params.yaml").model.order_blind
    assert (baseline.encoder, baseline.head, baseline.motion) == ("efficientnet_lite0", "mean_probe", "none")
