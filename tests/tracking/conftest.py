from pathlib import Path

import pandas as pd
import pytest

from actreel.config import Params, load_params
from tests.conftest import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder with a store of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    return tmp_path


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture
def index() -> pd.DataFrame:
    columns = {"clip": "c", "action": "a", "group": "g", "sha256": "0"}
    return pd.DataFrame([columns | {"split": split} for split in ("train", "val", "test")])


@pytest.fixture(scope="session", autouse=True)
def _quick_stores(quick_stores: None) -> None:
    """New stores of MLflow are copies."""
