from typing import Any

import pytest

from actreel.config import LANDMARK_HEADS, check_params, is_graph, weights_of
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


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_an_onnx_encoder_needs_a_file(values: dict[str, Any], weights: str) -> None:
    values["model"].update(encoder="onnx", weights=weights)
    with pytest.raises(ConfigError, match=rf"must be the path of an ONNX file\. Received: '{weights}'\. Try: dvc exp"):
        check_params(values, "params.yaml")


def test_an_onnx_encoder_is_frozen_and_called_by_its_file(values: dict[str, Any]) -> None:
    values["model"].update(encoder="onnx", weights="/models/dinov2.onnx", head="auto")
    model = check_params(values, "params.yaml").model
    assert model.frozen
    assert model.title == "dinov2.onnx + auto"
    assert model.order_blind.title == "dinov2.onnx + mean_probe"


@pytest.mark.parametrize("given", [["audio", "efficientnet_lite0"], "efficientnet_lite0+audio"])
def test_several_encoders_have_one_name_with_those_of_pictures_first(values: dict[str, Any], given: Any) -> None:
    values["model"].update(encoder=given)
    network = check_params(values, "params.yaml").model
    assert (network.encoder, network.encoders) == ("efficientnet_lite0+audio", ("efficientnet_lite0", "audio"))
    assert network.frozen


def test_an_onnx_file_is_the_weights_of_its_own_encoder_only(values: dict[str, Any]) -> None:
    values["model"].update(encoder=["signals", "vgg16", "onnx", "pose", "resnet50"], weights="/models/dinov2.onnx")
    network = check_params(values, "params.yaml").model
    assert network.encoder == "vgg16+onnx+pose+resnet50+signals"
    assert network.title == "vgg16+dinov2.onnx+pose+resnet50+signals + lstm"
    weights = [weights_of(name, network.encoder, network.weights) for name in network.encoders]
    assert weights == ["imagenet", "/models/dinov2.onnx", "imagenet", "imagenet", "imagenet"]
    assert network.frozen
    assert is_graph(network.encoder)
    assert not is_graph("vgg16+signals")
    assert weights_of("vgg16", "vgg16+pose", "w.h5") == "w.h5"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"encoder": ["audio", "onnx"]}, r"must be the path of an ONNX file.*model\.encoder=onnx\+audio"),
        ({"encoder": ["pose", "resnet50"], "weights": "none"}, "several encoders must be frozen"),
        ({"encoder": "pose+signals", "head": "ridge_probe"}, "ridge_probe needs one encoder of pictures"),
        ({"encoder": "nope"}, r"must be one of pixels, small_cnn, .* Received: 'nope'"),
        ({"encoder": ["audio", "small_cnn"]}, r"must name different ones of onnx, pose, audio, .*small_cnn"),
        ({"encoder": ["audio", "audio"]}, "must name different ones"),
        ({"encoder": []}, r"Received: \[\]"),
        ({"encoder": 3}, "Received: 3"),
        ({"encoder": ["audio", "resnet50"], "weights": "none"}, "several encoders must be frozen"),
        ({"encoder": ["vgg16", "resnet50"], "weights": "w.h5"}, "one file of weights cannot be that of several"),
        ({"encoder": "audio", "head": "ridge_probe"}, "ridge_probe needs one encoder of pictures"),
        ({"encoder": ["audio", "resnet50"], "fusion": [1]}, "one weight for each encoder"),
        ({"encoder": ["audio", "resnet50"], "fusion": [0, 0]}, "not all 0"),
    ],
)
def test_encoders_that_do_not_go_together_are_refused(
    values: dict[str, Any], changes: dict[str, Any], rule: str
) -> None:
    values["model"].update(changes)
    with pytest.raises(ConfigError, match=rule):
        check_params(values, "params.yaml")


@pytest.mark.parametrize("encoder", ["audio", ["audio", "efficientnet_lite0"]])
def test_sound_has_no_blocks_to_fine_tune(values: dict[str, Any], encoder: Any) -> None:
    values["model"].update(encoder=encoder)
    values["train"].update(fine_tune=1)
    with pytest.raises(ConfigError, match=r"train\.fine_tune trains blocks of one encoder of pictures"):
        check_params(values, "params.yaml")


@pytest.mark.parametrize("head", LANDMARK_HEADS)
def test_heads_on_landmarks_need_pose(values: dict[str, Any], head: str) -> None:
    values["model"].update(encoder="efficientnet_lite0", head=head)
    rule = rf"need the landmarks of encoder 'pose'. Received: .* with head '{head}'. Try: make pose && dvc exp run .*"
    with pytest.raises(ConfigError, match=rf"{rule}-S model.encoder=pose -S model.head={head}"):
        check_params(values, "params.yaml")
    values["model"].update(encoder="pose")
    assert check_params(values, "params.yaml").model.order_blind.head == "mean"


@pytest.mark.parametrize(("units", "near"), [(20, 16), (3, 8)])
def test_td_gcn_divides_its_channels_by_eight(values: dict[str, Any], units: int, near: int) -> None:
    values["model"].update(encoder="pose", head="td_gcn", units=units)
    with pytest.raises(ConfigError, match=rf"a multiple of 8. Received: {units}. Try: .*model.units={near}$"):
        check_params(values, "params.yaml")
