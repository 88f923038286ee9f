"""What this project uses of MLflow beyond its public interface, with the reason why no public way will do.

Checked against MLflow 3.17; tests/tracking/test_mlflow_internals.py says what an upgrade has changed.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class StoredVersion:
    """A registered version, as the database has it.

    Attributes:
        version: Its number.
        run_id: The run that trained it.
        aliases: Its aliases.
        tags: Its tags.
    """

    version: str
    run_id: str
    aliases: frozenset[str]
    tags: Mapping[str, str]


TABLES = frozenset({"model_versions", "model_version_tags", "registered_model_aliases", "runs"})
"""The tables of the registry, and that of the runs."""


class NewSchemaError(Exception):
    """The tables of the registry are not those that are known here."""


def stored_versions(database: Path, model: str) -> list[StoredVersion]:
    """The versions of a registered model in an MLflow database, which is only read.

    MLflow has calls for this, but takes 2 s to import, and then upgrades what it reads.

    Args:
        database: The SQLite file.
        model: The registered model's name.

    Raises:
        NewSchemaError: MLflow has other tables now, or has not made them yet.
    """
    with _looking_into(database) as connection:
        versions = connection.execute(
            "SELECT version, run_id FROM model_versions WHERE name = ? AND current_stage != 'Deleted_Internal'",
            (model,),
        ).fetchall()
        aliases = connection.execute(
            "SELECT version, alias FROM registered_model_aliases WHERE name = ?", (model,)
        ).fetchall()
        tags = connection.execute(
            "SELECT version, key, value FROM model_version_tags WHERE name = ?", (model,)
        ).fetchall()
    return [
        StoredVersion(
            str(version),
            str(run_id),
            frozenset(alias for of, alias in aliases if of == version),
            {key: value for of, key, value in tags if of == version},
        )
        for version, run_id in versions
    ]


def stored_run(database: Path, run_id: str) -> bool:
    """Whether an MLflow database holds a run, maybe as a deleted one.

    Args:
        database: The SQLite file.
        run_id: The run.

    Raises:
        NewSchemaError: As for `stored_versions`.
    """
    with _looking_into(database) as connection:
        return connection.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone() is not None


@contextmanager
def _looking_into(database: Path) -> Iterator[sqlite3.Connection]:
    """Opens a database to read from it; a table or column that is not there raises `NewSchemaError`."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not known >= TABLES:
            raise NewSchemaError
        try:
            yield connection
        except sqlite3.OperationalError as error:
            if "no such column" in str(error):
                raise NewSchemaError from error
            raise


VIEW = "actreel"
"""The key of our view of the runs."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
_SECTION = "results"


def runs_view(columns: Sequence[str], bars: Sequence[str], lines: Sequence[str]) -> str:
    """A view of an experiment's runs for the tag `VIEW_TAG`, which MLflow's page opens with `viewStateShareKey=VIEW`.

    MLflow's page can save and share a view, but no call does. Without one it shows no metric in the list of runs.

    Args:
        columns: Metrics, parameters and tags of the list, as in "metrics.`accuracy`".
        bars: Metrics to chart with one bar a run.
        lines: Metrics to chart over the epochs.
    """
    view = {
        "selectedColumns": list(columns),
        "columnWidths": {"attributes.`Run Name`": 340},
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "compareRunSections": [{"uuid": _SECTION, "name": "Accuracy and loss", "display": True, "isReordered": False}],
        "compareRunCharts": [*(_chart("BAR", name) for name in bars), *(_chart("LINE", name) for name in lines)],
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(view).encode())).decode("ascii")


def _chart(kind: str, metric: str) -> dict[str, Any]:
    chart = {
        "uuid": metric, "type": kind, "metricKey": metric, "displayName": metric, "metricSectionId": _SECTION,
        "runsCountToCompare": 10, "deleted": False, "isGenerated": False,
    }  # fmt: skip
    line = {
        "selectedMetricKeys": [metric], "xAxisKey": "step", "xAxisScaleType": "linear", "selectedXAxisMetricKey": "",
        "yAxisKey": "metric", "yAxisExpressions": [], "scaleType": "linear", "range": {}, "lineSmoothness": 0,
        "ignoreOutliers": False, "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True,
    }  # fmt: skip
    return chart | line if kind == "LINE" else chart
