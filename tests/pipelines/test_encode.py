"""The stage's warnings; tests/pipelines/test_pipeline.py runs the stage itself."""

import ast
import logging
import shutil
from pathlib import Path

import pytest

from actreel.base.kept_warnings import KeptWarning, kept_warnings
from actreel.base.places import ENCODE_WARNINGS
from pipelines import encode
from tests.conftest import ROOT


def test_what_encode_warned_of_is_kept_for_runs_that_skip_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("read_index", "usable", "StoredClips", "share", "publish"):
        monkeypatch.setattr(encode, name, lambda *_, **__: None)
    log = logging.getLogger("actreel.training.gpu")
    monkeypatch.setattr(encode, "encode_clips", lambda *_, **__: log.warning("the GPU is not used"))
    encode.main()
    assert kept_warnings(ENCODE_WARNINGS) == [KeptWarning("encode", "the GPU is not used")]


def test_train_puts_them_before_its_own() -> None:
    """The stages evaluate and champion read both from one file."""
    tree = ast.parse((ROOT / "pipelines/train.py").read_text(encoding="utf-8"))
    (call,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "keeping_warnings"
    )
    assert [ast.unparse(each.value) for each in call.keywords] == ["ENCODE_WARNINGS"]
