import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy import Engine, event

from actreel.base.faults import explain
from actreel.tracking import registry, runs, store


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
