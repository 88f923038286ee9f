import os
from pathlib import Path

import mlflow
import pytest

from actreel.tracking import store


def test_queued_experiments_use_the_store_of_the_project(tmp_path: Path) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmpabc"
    copy.mkdir(parents=True)
    assert store.project_root(copy) == tmp_path
    assert store.project_root(tmp_path) == tmp_path


def test_the_environment_names_another_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = f"sqlite:///{project / 'elsewhere.db'}"
    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", elsewhere)
    store.connect()
    assert mlflow.get_tracking_uri() == elsewhere
    assert (project / "elsewhere.db").is_file()
    assert not (project / "mlflow.db").exists()


def test_requirements_are_the_installed_versions() -> None:
    assert store.requirements("mlflow") == [f"mlflow=={mlflow.__version__}"]
