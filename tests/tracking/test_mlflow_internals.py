import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd

from actreel.config import ClipSpec, Params
from actreel.tracking import registry, runs
from actreel.tracking.mlflow_internals import LOCATIONS, move_artifacts
from tests.tracking.test_registry import model_folder


def test_no_location_of_a_registered_model_is_forgotten(
    project: Path, params: Params, index: pd.DataFrame, spec: ClipSpec
) -> None:
    with runs.training_run(params, params.split, index, "abc"):
        registry.register("actreel-grey", model_folder(project / "model", spec), {})
    old = (project / "mlartifacts").as_uri()
    database = project / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        with connection:  # beside the folder, so to be left alone
            connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = 'Default'", (f"{old}-2",))
        move_artifacts(database, old, "file:///elsewhere")
        found = {
            (table, column): [value for (value,) in connection.execute(f'SELECT "{column}" FROM "{table}"')]  # noqa: S608
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        }
    left = {place for place, values in found.items() if any(str(value).startswith(f"{old}/") for value in values)}
    assert left == set()
    assert f"{old}-2" in found["experiments", "artifact_location"]
    moved = {place for place, values in found.items() if any("/elsewhere" in str(value) for value in values)}
    assert moved <= set(LOCATIONS)
    assert len(moved) >= 4
