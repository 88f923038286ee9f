import json
from pathlib import Path

import pytest

from actreel.config import load_params, override
from actreel.errors import ActreelError
from actreel.experiments.space import default_space, read_space
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.unit: {choices: [1]}", "'model.unit' cannot be selected"),
        ("model.encoder: {choices: [pixels]}", "'model.encoder' cannot be selected"),
        ("model.units: {choices: [0]}", "'model.units'"),
        ("model.head: {choices: [convlstm]}", "need encoder 'pixels'"),
        ("model.units: [16, 32]", r"must map each section.key to \{choices"),
        ("train.batch_size: {low: 8, high: 2}", "must have low below high"),
        ("train.learning_rate: {low: 0, high: 2, log: true}", "both above 0 with log"),
        ("{}", "must name at least one setting"),
    ],
)
def test_an_invalid_space_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "space.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ActreelError, match=message):
        read_space(tmp_path / "space.yaml", load_params(ROOT / "params.yaml"))


def test_every_setting_of_the_default_space_is_valid(tmp_path: Path) -> None:
    for encoder, head in (("efficientnet_lite0", "lstm"), ("pixels", "convlstm"), ("pose", "td_gcn")):
        params = override(load_params(ROOT / "params.yaml"), [f"model.encoder={encoder}", f"model.head={head}"])
        space = {name: values.model_dump() for name, values in default_space(params).items()}
        file = tmp_path / "space.yaml"
        file.write_text(json.dumps(space), encoding="utf-8")
        assert read_space(file, params) == default_space(params)
        assert head in space["model.head"]["choices"]
