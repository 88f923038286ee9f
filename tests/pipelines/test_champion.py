"""Who is champion, where the registry holds it and where it came with DVC from another machine."""

import json
import os
import shutil
from pathlib import Path

import mlflow
import pytest
import yaml

from actreel.base.places import CHAMPION, WARNINGS
from actreel.config import load_params
from actreel.errors import FileError
from actreel.tracking import registry
from pipelines import champion
from tests.conftest import ROOT

PULLED = {"version": "7", "run_id": "elsewhere", "accuracy": "0.9"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an MLflow store; a new store takes seconds."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "dvc.yaml", root)
    for stage, file in zip(("index", "train"), WARNINGS, strict=True):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(json.dumps([{"stage": stage, "text": f"few {stage} clips"}]), encoding="utf-8")
    return root


@pytest.fixture
def name(
    root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> str:
    """Of a model that the project's registry does not hold, and whose champion DVC has brought."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(root)
    caplog.set_level("INFO")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["dataset"] |= {"name": "folder", "path": f"/clips/{request.node.name}"}
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    name = registry.registered_model(load_params().dataset.label)
    bring(PULLED | {"registered_model": name})
    return name


def bring(labels: dict[str, str]) -> None:
    CHAMPION.write_text(json.dumps(labels), encoding="utf-8")


def champion_after() -> dict[str, str] | None:
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow sets it for child processes
    champion.main()
    labels: dict[str, str] | None = json.loads(CHAMPION.read_text(encoding="utf-8"))
    return labels


def register(name: str, run_id: str) -> str:
    registry.connect()
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    return str(client.create_model_version(name, source=str(Path.cwd()), run_id=run_id).version)


def test_a_champion_that_came_with_dvc_stays_where_the_registry_does_not_know_it(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert champion_after() == PULLED | {"registered_model": name}
    assert f"version 7 of {name}, which came with DVC, is of another registry than the one here" in caplog.text
    assert "it stays the champion" in caplog.text
    register(name, "another run")  # registered here, but not champion
    assert champion_after() == PULLED | {"registered_model": name}


def test_a_champion_of_this_registry_takes_its_place_and_that_is_said(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry.set_champion(name, register(name, "here"), None)
    after = champion_after()
    assert after is not None
    assert (after["version"], after["run_id"]) == ("1", "here")
    assert "version 1 takes its place and was not compared with it" in caplog.text
    caplog.clear()
    assert champion_after() == after
    assert "takes its place" not in caplog.text


def test_a_champion_whose_alias_was_removed_here_is_champion_no_longer(name: str) -> None:
    bring({"registered_model": name, "version": register(name, "here"), "run_id": "here"})
    assert champion_after() is None


def test_a_champion_that_was_deleted_here_is_not_taken_for_another_machine_s(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its run is in this store, as that of a model which was trained elsewhere is not."""
    registry.connect()
    run_id = mlflow.MlflowClient().create_run(mlflow.get_experiment_by_name("actreel").experiment_id).info.run_id
    bring({"registered_model": name, "version": "4", "run_id": run_id})
    assert champion_after() is None
    assert f"version 4 of {name} was deleted from the registry; no version is champion now" in caplog.text


def test_a_champion_of_another_dataset_does_not_stay(name: str) -> None:
    bring(PULLED | {"registered_model": "actreel-mine"})
    assert champion_after() is None


def test_without_the_file_there_is_no_champion_and_a_damaged_one_is_named(name: str) -> None:
    CHAMPION.write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match=r"rm -f reports/champion\.json && dvc repro champion"):
        champion.main()
    CHAMPION.unlink()
    assert champion_after() is None


def test_what_skipped_stages_warned_of_is_repeated(name: str, caplog: pytest.LogCaptureFixture) -> None:
    champion.main()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [f"(from the stage {stage}) few {stage} clips" for stage in ("index", "train")]
