import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from actreel.config import DatasetParams, check_params, load_params
from actreel.errors import ConfigError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def test_the_repository_s_params_are_valid() -> None:
    assert load_params(ROOT / "params.yaml").dataset.name == "demo"


def test_unknown_key_is_named_with_the_nearest_known_one(values: dict[str, Any]) -> None:
    values["train"]["epoch"] = 3
    with pytest.raises(ConfigError, match=r"Received: 'train\.epoch'\. Did you mean 'epochs'\?"):
        check_params(values, "params.yaml")


def test_unknown_section_is_named(values: dict[str, Any]) -> None:
    values["trian"] = {}
    with pytest.raises(ConfigError, match=r"'trian'. Did you mean 'train'"):
        check_params(values, "params.yaml")


def test_missing_key_is_named(values: dict[str, Any]) -> None:
    del values["clip"]["height"]
    with pytest.raises(ConfigError, match=r"'clip\.height' must be set"):
        check_params(values, "params.yaml")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("clip", "num_frames", 0), ("train", "learning_rate", -1), ("model", "head", "lstn"), ("split", "val", "much")],
)
def test_value_out_of_range_is_named_with_what_was_received(
    values: dict[str, Any], section: str, key: str, value: Any
) -> None:
    values[section][key] = value
    with pytest.raises(ConfigError, match=rf"'{section}\.{key}'.*Received: {value!r}"):
        check_params(values, "params.yaml")


def test_splits_must_leave_clips_to_train_on(values: dict[str, Any]) -> None:
    values["split"].update(val=0.5, test=0.5)
    with pytest.raises(ConfigError, match=r"below 1\. Received: 0\.5 \+ 0\.5"):
        check_params(values, "params.yaml")


def test_folder_needs_a_path(values: dict[str, Any]) -> None:
    values["dataset"]["name"] = "folder"
    with pytest.raises(ConfigError, match=r"-S dataset\.path="):
        check_params(values, "params.yaml")


def test_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="repository's top folder"):
        load_params(tmp_path / "params.yaml")


def test_broken_yaml_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="must be YAML"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("path", "label"), [("/data/My Clips!", "my-clips"), ("/data/weizmann/", "weizmann"), ("/", "folder")]
)
def test_label_of_a_folder_is_safe_in_names(values: dict[str, Any], path: str, label: str) -> None:
    params = DatasetParams.model_validate({**values["dataset"], "name": "folder", "path": path})
    assert params.label == label


def test_sections_are_frozen() -> None:
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.clip.height = 8  # type: ignore[misc]


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [("(?P<group>", "must be a regular expression"), (r"person\d+", "must name what it finds")],
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


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"refit": True, "fine_tune": 1}, r"train\.refit learns from .* with train\.fine_tune 1"),
        ({"warmup": 30}, r"train\.warmup must be below train\.epochs. Received: 30 with 30 epochs"),
        ({"fine_tune": 1}, r"train\.fine_tune unfreezes .* Received: 1 with encoder 'small_cnn'"),
        ({"encoder": "efficientnet_lite0", "colour": 0.2}, r"train\.colour change frames.* Received: 0.0 and 0.2"),
        ({"head": "mean_probe"}, r"mean_probe and statistics_probe .* Received: 'mean_probe' with encoder 'small_cnn'"),
        (
            {"encoder": "efficientnet_lite0", "head": "mean_probe", "mixup": 0.2},
            r"a probe is solved for the clips as they are\. Received: train\.mixup 0.2 with head 'mean_probe'",
        ),
    ],
)
def test_training_settings_must_go_together(values: dict[str, Any], changes: dict[str, Any], rule: str) -> None:
    for key, value in changes.items():
        values["model" if key in values["model"] else "train"][key] = value
    with pytest.raises(ConfigError, match=rule):
        check_params(values, "params.yaml")


def test_a_fine_tuned_encoder_sees_frames_that_are_varied(values: dict[str, Any]) -> None:
    values["model"]["encoder"] = "efficientnet_lite0"
    values["train"].update(fine_tune=2, crop=0.2, colour=0.2)
    assert check_params(values, "params.yaml").train.fine_tune == 2
