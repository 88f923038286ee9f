import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy import Engine, event

from actreel.base import places
from actreel.base.faults import explain
from actreel.tracking import registry, runs, store


def test_queued_experiments_use_the_store_of_the_project(tmp_path: Path) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmpabc"
    copy.mkdir(parents=True)
    assert places.project_root(copy) == tmp_path
    assert places.project_root(tmp_path) == tmp_path


def test_the_environment_names_another_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = f"sqlite:///{project / 'elsewhere.db'}"
    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", elsewhere)
    store.connect()
    assert mlflow.get_tracking_uri() == elsewhere
    assert (project / "elsewhere.db").is_file()
    assert not (project / "mlflow.db").exists()


def test_requirements_are_the_installed_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.requirements("mlflow") == [f"mlflow=={mlflow.__version__}"]
    installed = {"onnxruntime-gpu": "1.26.0"}

    def version_of(package: str) -> str:
        if package not in installed:
            raise PackageNotFoundError
        return installed[package]

    monkeypatch.setattr(store, "version_of", version_of)
    assert store.requirements("onnxruntime") == ["onnxruntime==1.26.0"]


def overwrite(database: Path) -> None:
    database.write_bytes(b"no database " * 1000)


def cut_off(database: Path) -> None:
    os.truncate(database, 9000)


@pytest.mark.parametrize("damage", [overwrite, cut_off])
def test_a_damaged_database_is_named(project: Path, damage: Callable[[Path], None]) -> None:
    store.connect()
    damage(project / "mlflow.db")
    with pytest.raises(Exception, match="database") as caught:
        registry.find_champion("actreel-fading")
    message = explain(caught.value) or ""
    assert message.startswith(f"'{project / 'mlflow.db'}' is damaged (")
    assert f"mv '{project / 'mlflow.db'}' '{project / 'mlflow.db'}.damaged'" in message


@pytest.fixture
def impatient() -> Iterator[None]:
    """MLflow waits 0.1 s for a locked database, not 20 s."""

    def shorten(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> tuple[Any, ...]:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorten)


def test_a_locked_database_is_named_and_never_taken_for_an_empty_one(
    project: Path, impatient: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry.find_champion("actreel-fading") is None
    with closing(sqlite3.connect(project / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for module, ask in (
            (registry, lambda: registry.find_champion("actreel-fading")),
            (runs, lambda: runs.reopened_run("0" * 32).__enter__()),
        ):
            with pytest.raises(Exception, match="database is locked") as caught:
                ask()
            monkeypatch.setattr(module, "connect", lambda: None)  # the lock may come later too
            with pytest.raises(MlflowException, match="database is locked"):
                ask()
            message = explain(caught.value) or ""
            assert message.startswith(f"'{project / 'mlflow.db'}' is locked by another process. Wait until")
    assert registry.find_champion("actreel-fading") is None
    assert "Traceback" not in capfd.readouterr().err


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goes on in another folder, as a new process there would: MLflow keeps its store's address in the environment."""
    monkeypatch.chdir(folder)
    (folder / "dvc.yaml").touch()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def write_run(text: str) -> str:
    store.connect()
    with mlflow.start_run() as run:
        mlflow.log_text(text, "note.txt")
    return str(run.info.run_id)


def read_run(run_id: str) -> str:
    store.connect()
    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/note.txt"))


@pytest.mark.parametrize("name", ["what? 50%20y", "Über uns #1"])
def test_the_store_is_in_the_project_folder_whatever_its_name(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = project / name
    folder.mkdir()
    enter(folder, monkeypatch)
    assert read_run(write_run("here")) == "here"
    assert {path.name for path in folder.iterdir()} == {"dvc.yaml", "mlartifacts", "mlflow.db"}
    assert {path.name for path in project.iterdir()} == {"dvc.yaml", name}


def test_a_copied_project_folder_reads_and_writes_only_in_itself(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, copy = project / "original", project / "a copy #2"
    original.mkdir()
    enter(original, monkeypatch)
    run_id = write_run("before")
    shutil.copytree(original, copy)
    before = {path: path.stat().st_mtime_ns for path in original.rglob("*")}
    enter(copy, monkeypatch)
    later = write_run("after")
    assert {path: path.stat().st_mtime_ns for path in original.rglob("*")} == before
    shutil.rmtree(original)
    assert (read_run(run_id), read_run(later)) == ("before", "after")
    # Where a later stage adds to the run. Not added here: MLflow remembers this place while a process lives.
    assert mlflow.get_run(run_id).info.artifact_uri.startswith((copy / "mlartifacts").as_uri())
    assert not original.exists()


def test_a_moved_project_folder_finds_its_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "old").mkdir()
    enter(project / "old", monkeypatch)
    run_id = write_run("text")
    (project / "old").rename(project / "new")
    enter(project / "new", monkeypatch)
    assert read_run(run_id) == "text"
    assert not (project / "old").exists()


def test_a_deleted_experiment_is_restored(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_id = write_run("text")
    experiment = mlflow.get_experiment_by_name(store.EXPERIMENT)
    assert experiment is not None
    mlflow.delete_experiment(experiment.experiment_id)
    with caplog.at_level(logging.WARNING):
        assert read_run(run_id) == "text"
    assert "was deleted; it is restored" in caplog.text
    runs = mlflow.search_runs([experiment.experiment_id], run_view_type=ViewType.ACTIVE_ONLY, output_format="list")
    assert [run.info.run_id for run in runs] == [run_id]


def test_an_experiment_of_an_earlier_version_gets_its_tags(project: Path) -> None:
    store.connect()
    client = mlflow.MlflowClient()
    number = mlflow.get_experiment_by_name(store.EXPERIMENT).experiment_id
    client.set_experiment_tag(number, "mlflow.experimentKind", "genai_development_inferred")
    client.set_experiment_tag(number, "of the user", "stays")
    client.delete_experiment_tag(number, store.VIEW_TAG)
    address = store.runs_page("http://localhost:5000")
    assert address.startswith(f"http://localhost:5000/#/experiments/{number}/runs?")
    tags = mlflow.get_experiment(number).tags
    assert tags.items() >= (store.TAGS | {"of the user": "stays"}).items()
    assert tags["mlflow.experimentKind"] == "custom_model_development"
