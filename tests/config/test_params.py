from pathlib import Path
from typing import Any

import pytest
import yaml

from actreel.config import check_params, load_params, override
from actreel.errors import ConfigError
from tests.conftest import ROOT


def test_the_repository_s_params_are_valid() -> None:
    assert load_params(ROOT / "params.yaml").dataset.name == "demo"


def test_unknown_key_is_named_with_the_nearest_known_one(values: dict[str, Any]) -> None:
    values["train"]["epoch"] = 3
    with pytest.raises(ConfigError, match=r"Received: 'train\.epoch'\. Did you mean 'epochs'\?"):
        check_params(values, "params.yaml")


def test_a_key_that_is_not_needed_any_more_says_so(values: dict[str, Any]) -> None:
    values["evaluate"]["may_tie_baseline"] = True
    with pytest.raises(ConfigError, match=r"'evaluate\.may_tie_baseline' is not needed any more.*Remove it"):
        check_params(values, "params.yaml")


@pytest.mark.parametrize("section", yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))
def test_a_misspelt_key_of_any_section_is_named_with_the_right_one(values: dict[str, Any], section: str) -> None:
    key = max(values[section], key=len)
    values[section][f"{key}x"] = values[section].pop(key)
    with pytest.raises(ConfigError, match=rf"Received: '{section}\.{key}x'\. Did you mean '{key}'\?"):
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


def test_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="from the project's folder"):
        load_params(tmp_path / "params.yaml")


def test_broken_yaml_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="must be YAML"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"fine_tune": 1}, r"train\.fine_tune needs an encoder .* Received: 1 with encoder 'small_cnn'"),
        ({"encoder": "efficientnet_lite0", "colour": 0.2}, r"train\.colour change frames.* Received: 0.0 and 0.2"),
        (
            {"encoder": "onnx", "weights": "e.onnx", "fine_tune": 1},
            r"blocks of an encoder in Keras, and 'onnx' .* none\. Received: 1.* Set train\.fine_tune to 0\.$",
        ),
        (
            {"encoder": "onnx", "weights": "e.onnx", "crop": 0.1},
            r"Received: 0\.1 and 0\.0 with encoder 'onnx'\. Set both to 0\.$",
        ),
        (
            {"head": "mean_probe"},
            r"mean_probe, .*, ridge_probe, lda_probe need .* 'mean_probe' with encoder 'small_cnn'",
        ),
        (
            {"encoder": "efficientnet_lite0", "head": "mean_probe", "mixup": 0.2},
            r"a probe cannot use train\.mixup.*\. Received: 0.2 with head 'mean_probe'",
        ),
        (
            {"variants": ["fit"]},
            r"train\.variants tries .* probe .*\['fit'\] with head 'lstm'.* train\.variants to \[\]",
        ),
        (
            {"encoder": "efficientnet_lite0", "head": "auto", "variants": ["mirror"], "fine_tune": 1},
            r"train\.variants tries .*\['mirror'\] with head 'auto', train\.fine_tune 1",
        ),
    ],
)
def test_training_settings_must_fit_the_network(values: dict[str, Any], changes: dict[str, Any], rule: str) -> None:
    for key, value in changes.items():
        values["model" if key in values["model"] else "train"][key] = value
    with pytest.raises(ConfigError, match=rule):
        check_params(values, "params.yaml")


def test_a_fine_tuned_encoder_sees_frames_that_are_varied(values: dict[str, Any]) -> None:
    values["model"]["encoder"] = "efficientnet_lite0"
    values["train"].update(fine_tune=2, crop=0.2, colour=0.2)
    assert check_params(values, "params.yaml").train.fine_tune == 2


def test_a_mistake_in_the_file_can_be_undone(values: dict[str, Any], tmp_path: Path) -> None:
    values["train"]["lerning_rate"] = 0.1
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"Did you mean 'learning_rate'\? To undo .*: git checkout params\.yaml$"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("setting", "hint"),
    [("trian.learning_rate=0.1", r"Did you mean 'train'\?"), ("nothing.key=1", "Known here: dataset, clip, split")],
)
def test_a_misspelt_section_of_a_setting_is_named_with_the_right_one(setting: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"every section must be known. Received: '{setting}'. {hint}"):
        override(load_params(ROOT / "params.yaml"), [setting])
