"""The champion without MLflow, which takes seconds to import: from the project's own database, as it is on the disk.

A registry on a server, and a database that this project's MLflow did not write, are asked through MLflow itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from actreel.base.faults import naming
from actreel.base.places import MLFLOW_DATABASE
from actreel.tracking.mlflow_internals import NewSchemaError, StoredVersion, stored_versions
from actreel.tracking.promotions import labels_for

CHAMPION = "champion"


def champion_labels(name: str, pulled: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """The labels of a registered model's champion, as `actreel.tracking.registry.ModelVersion` has them.

    Args:
        name: Of the registered model.
        pulled: The labels in reports/champion.json. If the registry holds no such version, they came with DVC, and
            that version stays champion while the registry has none of its own; see `pipelines.champion`.
    """
    held = None if os.environ.get("MLFLOW_TRACKING_URI") else _stored(MLFLOW_DATABASE, name)
    champion, holds_pulled = _from_mlflow(name, pulled) if held is None else _from_database(held, name, pulled)
    if champion is None and pulled is not None and pulled["registered_model"] == name and not holds_pulled:
        return pulled
    return champion


def _stored(database: Path, name: str) -> list[StoredVersion] | None:
    """The versions in the database; None if only MLflow can read it."""
    if not database.is_file():
        return []
    try:
        with naming(database):
            return stored_versions(database, name)
    except NewSchemaError:
        return None


def _from_database(
    held: list[StoredVersion], name: str, pulled: Mapping[str, str] | None
) -> tuple[dict[str, str] | None, bool]:
    champion = next((each for each in held if CHAMPION in each.aliases), None)
    holds = any(pulled and (each.version, each.run_id) == (pulled["version"], pulled["run_id"]) for each in held)
    if champion is None:
        return None, holds
    own = {"registered_model": name, "version": champion.version, "run_id": champion.run_id}
    return labels_for(champion.version, champion.tags) | own, holds


def _from_mlflow(name: str, pulled: Mapping[str, str] | None) -> tuple[dict[str, str] | None, bool]:
    from actreel.tracking import registry

    champion = registry.find_champion(name)
    holds = pulled is not None and registry.holds(registry.ModelVersion.from_labels(pulled))
    return None if champion is None else champion.labels, holds
