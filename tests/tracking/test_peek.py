"""What is read without MLflow is what MLflow says; an upgrade that changes its tables fails here."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import mlflow
import pytest

from actreel.tracking import mlflow_internals, peek, registry
from actreel.tracking.promotions import BY_HAND

NAME = "actreel-grey"
PULLED = {"registered_model": NAME, "version": "7", "run_id": "elsewhere"}


def find_champion(name: str, before: Mapping[str, str] | None) -> peek.Found:
    """What a new process reads; in this one, MLflow has set the address of its store for child processes."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    return peek.find_champion(name, before)


def champion_labels(name: str, before: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return find_champion(name, before).champion


@pytest.fixture
def client(project: Path) -> mlflow.MlflowClient:
    """A registry with two versions of one model, and one of another."""
    assert champion_labels(NAME, None) is None
    assert not (project / "mlflow.db").exists(), "looking makes no database"
    registry.connect()
    client = mlflow.MlflowClient()
    for name, versions in ((NAME, 2), ("actreel-other", 1)):
        client.create_registered_model(name)
        for number in range(versions):
            client.create_model_version(name, str(project), run_id=f"run{number}", tags={"accuracy": f"0.{number}"})
    registry.set_champion("actreel-other", "1", None)
    return client


def test_the_champion_is_the_one_that_mlflow_names(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert champion_labels(NAME, None) is None
    registry.set_champion(NAME, "2", None, "hand", "it sees better")
    champion = registry.find_champion(NAME)
    assert champion is not None
    assert champion_labels(NAME, None) == champion.labels
    assert champion.labels[BY_HAND].endswith(": it sees better")
    assert (champion.labels["accuracy"], champion.labels["run_id"]) == ("0.1", "run1")
    # One that came with DVC counts only while the registry has no champion.
    assert champion_labels(NAME, PULLED) == champion.labels
    with monkeypatch.context() as known:  # MLflow is not asked
        known.setattr(registry, "find_champion", None)
        assert champion_labels(NAME, None) == champion.labels
    with monkeypatch.context() as newer:  # tables that are not known are left to MLflow
        newer.setattr(mlflow_internals, "TABLES", frozenset({"versions_of_models"}))
        assert champion_labels(NAME, PULLED) == champion.labels
    client.delete_registered_model_alias(NAME, "champion")
    assert champion_labels(NAME, PULLED) == PULLED
    assert champion_labels(NAME, PULLED | {"registered_model": "actreel-mine"}) is None
    held = {"registered_model": NAME, "version": "1", "run_id": "run0"}
    assert champion_labels(NAME, held) is None, "its alias was removed here"
    client.delete_model_version(NAME, "1")
    assert champion_labels(NAME, held) == held, "the registry does not hold it any more"
    run = client.create_run(mlflow.get_experiment_by_name("actreel").experiment_id)
    here = held | {"run_id": run.info.run_id}
    assert find_champion(NAME, here) == peek.Found(None, here, deleted=True)
    client.delete_run(run.info.run_id)
    with monkeypatch.context() as newer:
        newer.setattr(mlflow_internals, "TABLES", frozenset({"versions_of_models"}))
        assert find_champion(NAME, here) == peek.Found(None, here, deleted=True), "MLflow says the same"
    assert champion_labels(NAME, here) is None


def test_an_experiment_in_a_copy_looks_into_the_project_s_registry(
    client: mlflow.MlflowClient, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = project / ".dvc/tmp/exps/temp"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert champion_labels("actreel-other", None) is not None


def test_a_damaged_database_is_named(project: Path) -> None:
    (project / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        champion_labels(NAME, None)
    assert caught.value.about_file == str(project / "mlflow.db")  # type: ignore[attr-defined]


def test_mlflow_is_not_imported(project: Path) -> None:
    with closing(sqlite3.connect(project / "mlflow.db")) as database:
        for table in mlflow_internals.TABLES:
            columns = "name, version, run_id, run_uuid, current_stage, alias, key, value"
            database.execute(f"CREATE TABLE {table} ({columns})")
    code = (
        f"import sys; from actreel.tracking.peek import find_champion; find_champion('{NAME}', {PULLED}); "
        "sys.exit('mlflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
