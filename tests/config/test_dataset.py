import re
from typing import Any

import pytest

from actreel.config import ClipSpec, DatasetParams, check_params
from actreel.errors import ConfigError


def test_splits_must_leave_clips_to_train_on(values: dict[str, Any]) -> None:
    values["split"].update(val=0.5, test=0.5)
    with pytest.raises(ConfigError, match=r"below 1\. Received: 0\.5 \+ 0\.5"):
        check_params(values, "params.yaml")


def test_folder_needs_a_path(values: dict[str, Any]) -> None:
    values["dataset"]["name"] = "folder"
    with pytest.raises(ConfigError, match=r"-S dataset\.path="):
        check_params(values, "params.yaml")


def test_the_demo_takes_no_path(values: dict[str, Any]) -> None:
    values["dataset"]["path"] = "/my clips"
    with pytest.raises(ConfigError, match=r"""dvc exp run -S dataset\.name=folder -S 'dataset\.path="/my clips"'"""):
        check_params(values, "params.yaml")


def test_a_path_below_the_home_folder_becomes_whole(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    values["dataset"].update(name="folder", path="~/clips")
    values["split"].update(protocol="lists", train_list="~/train.txt", test_list="/~/test.txt")
    values["model"].update(encoder="onnx", weights="~/a.onnx", head="mean_probe")
    values["train"].update(dict.fromkeys(("crop", "colour", "speed", "jitter", "mixup", "label_smoothing"), 0))
    params = check_params(values, "params.yaml")
    assert (params.dataset.path, params.model.weights) == ("/home/anna/clips", "/home/anna/a.onnx")
    assert (params.split.train_list, params.split.test_list) == ("/home/anna/train.txt", "/~/test.txt")
    values["dataset"]["path"] = "~nobody-of-this-name/clips"
    with pytest.raises(ConfigError, match=r"home folder. Received: '~nobody-of-this-name/clips'. Write the whole path"):
        check_params(values, "params.yaml")


@pytest.mark.parametrize(
    ("path", "label"),
    [("/data/My Clips!", "my-clips"), ("/data/weizmann/", "weizmann"), ("/", "folder"), ("/my/Demo", "folder-demo")],
)
def test_label_of_a_folder_is_safe_in_names(values: dict[str, Any], path: str, label: str) -> None:
    params = DatasetParams.model_validate({**values["dataset"], "name": "folder", "path": path})
    assert params.label == label


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [("(?P<group>", "must be a regular expression"), (r"person\d+", "must have a group named")],
)
def test_a_group_pattern_must_find_a_group(values: dict[str, Any], pattern: str, rule: str) -> None:
    values["dataset"]["group_pattern"] = r"(?P<group>person\d+)_"
    assert check_params(values, "params.yaml").dataset.group_pattern == r"(?P<group>person\d+)_"
    values["dataset"]["group_pattern"] = pattern
    with pytest.raises(ConfigError, match=rf"'dataset\.group_pattern' {rule}.*Received: '{re.escape(pattern)}'"):
        check_params(values, "params.yaml")


def test_ucf50_needs_its_archive(values: dict[str, Any]) -> None:
    values["dataset"]["name"] = "ucf50"
    with pytest.raises(ConfigError, match=r"needs dataset\.path.*make ucf50"):
        check_params(values, "params.yaml")
    values["dataset"]["path"] = "data/UCF50.rar"
    assert check_params(values, "params.yaml").dataset.label == "ucf50"


def test_a_model_saved_before_there_were_colours_takes_rgb() -> None:
    assert ClipSpec.model_validate({"num_frames": 8, "height": 64, "width": 64}).colour == "rgb"


def test_a_sampling_from_older_versions_is_dropped_if_it_is_the_only_one_there_was(values: dict[str, Any]) -> None:
    spec = check_params(values, "params.yaml").clip
    assert ClipSpec.model_validate({**spec.model_dump(), "sampling": "uniform"}) == spec
    assert "sampling" not in spec.model_dump()
    values["clip"]["sampling"] = "random"
    with pytest.raises(ConfigError, match=r"Received: 'clip\.sampling'"):
        check_params(values, "params.yaml")
