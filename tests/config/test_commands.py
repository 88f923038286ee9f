import shlex
from pathlib import Path

import pytest
import yaml
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides
from hypothesis import given, settings
from hypothesis import strategies as st

from actreel.config.commands import exp_run

SIGNS = "\\\"'${}[](),:= #&~*?!|<>;%@^`+-/ab01\té動"


def received(command: str, params: Path) -> object:
    """What DVC writes as `dataset.path` into params.yaml, once a shell has read the command."""
    words = shlex.split(command)
    assert words[:4] == ["dvc", "exp", "run", "-S"]
    params.write_text("dataset:\n  path: before\n", encoding="utf-8")
    apply_overrides(params, to_path_overrides(words[4:])[params.name])
    return yaml.safe_load(params.read_text(encoding="utf-8"))["dataset"]["path"]


@settings(max_examples=200)
@given(st.text(st.one_of(st.sampled_from(SIGNS), st.characters(exclude_categories=["Cs", "Cc"])), max_size=20))
def test_any_path_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = f"/{text}"
    assert received(exp_run({"dataset.path": path}), tmp_path_factory.getbasetemp() / "params.yaml") == path


@pytest.mark.parametrize(
    "path",
    ["my clips", "~/clips", "/a${dataset.path}", "/a\\${x}", "/a\\", 'C:\\my "clips"', "/it's", "null", "1e5", "/a\nb"],
)
def test_odd_paths_come_out_too(tmp_path: Path, path: str) -> None:
    assert received(exp_run({"dataset.path": path}), tmp_path / "params.yaml") == path


def test_a_plain_path_stays_plain() -> None:
    command = exp_run({"dataset.name": "folder", "dataset.path": "/data/my-clips_2"})
    assert command == "dvc exp run -S dataset.name=folder -S dataset.path=/data/my-clips_2"
