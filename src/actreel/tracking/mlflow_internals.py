"""What this project uses of MLflow beyond its public interface, with the reason why no public way will do.

Checked against MLflow 3.17; tests/tracking/test_mlflow_internals.py says what an upgrade has changed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""The columns of `mlflow.db` that say where artifacts are: tables and their columns."""


def move_artifacts(database: Path, old: str, new: str) -> None:
    """Replaces the folder of all artifacts in an MLflow database.

    MLflow stores absolute locations and has no call that changes them, so a folder that was moved or copied would
    still read, and write, where it was before.

    Args:
        database: The SQLite file.
        old: The location up to now, a URI.
        new: The location from now on, a URI.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in LOCATIONS:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 (both are constants)
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
