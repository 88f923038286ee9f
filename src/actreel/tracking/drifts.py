"""Reports of `actreel drift`: runs of a kind of their own, beside those of trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow

from actreel.tracking.store import connect

KIND = "kind"
"""The tag of a run that is no training's."""
DRIFT = "drift"


def log_drift(name: str, tags: Mapping[str, str], metrics: Mapping[str, float], files: Sequence[Path]) -> str:
    """Records a report as a run.

    Args:
        name: The run's name.
        tags: What it is about.
        metrics: Its numbers.
        files: The report.

    Returns:
        The run's id.
    """
    connect()
    with mlflow.start_run(run_name=name, tags={**tags, KIND: DRIFT}, log_system_metrics=False) as run:
        mlflow.log_metrics(dict(metrics))
        for file in files:
            mlflow.log_artifact(str(file))
        return str(run.info.run_id)


def is_drift(tags: Mapping[str, Any]) -> bool:
    """Whether a run with these tags is a report of drift, and no model's."""
    return tags.get(KIND) == DRIFT
