"""The champion without MLflow, which takes seconds to import: from the project's own database, as it is on the disk.

A registry on a server, and a database that this project's MLflow did not write, are asked through MLflow itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actreel.base.faults import naming
from actreel.base.places import MLFLOW_DATABASE, project_root
from actreel.tracking.mlflow_internals import NewSchemaError, stored_run, stored_versions
from actreel.tracking.promotions import labels_for

CHAMPION = "champion"

Labels = Mapping[str, str]
"""As `actreel.tracking.registry.ModelVersion.labels`."""


@dataclass(frozen=True)
class Found:
    """Who is champion.

    Attributes:
        registered: The registry's champion; None if it has none.
        pulled: The champion that came with DVC, if that is of this model and the registry holds no such version.
        deleted: Whether that version is not here because it was deleted: its run is here.
    """

    registered: Labels | None
    pulled: Labels | None
    deleted: bool

    @property
    def champion(self) -> Labels | None:
        """The champion: what came with DVC stays so while the registry has none of its own."""
        return self.pulled if self.registered is None and not self.deleted else self.registered


def find_champion(name: str, before: Labels | None) -> Found:
    """Asks the registry.

    Args:
        name: Of the registered model.
        before: The labels in reports/champion.json. If the registry holds no such version, they came with DVC from
            another machine, or it was deleted here.
    """
    if before is not None and before["registered_model"] != name:
        before = None
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        database = project_root() / MLFLOW_DATABASE
        if not database.is_file():
            return Found(None, before, deleted=False)
        try:
            with naming(database):
                return _from_database(database, name, before)
        except NewSchemaError:
            pass
    return _from_mlflow(name, before)


def _from_database(database: Path, name: str, before: Labels | None) -> Found:
    held = stored_versions(database, name)
    registered = next((each for each in held if CHAMPION in each.aliases), None)
    labels = None
    if registered is not None:
        own = {"registered_model": name, "version": registered.version, "run_id": registered.run_id}
        labels = labels_for(registered.version, registered.tags) | own
    if before is None or any((each.version, each.run_id) == (before["version"], before["run_id"]) for each in held):
        return Found(labels, None, deleted=False)
    return Found(labels, before, deleted=stored_run(database, before["run_id"]))


def _from_mlflow(name: str, before: Labels | None) -> Found:
    from actreel.tracking import registry
    from actreel.tracking.store import knows_run

    champion = registry.find_champion(name)
    labels = None if champion is None else champion.labels
    if before is None or registry.holds(registry.ModelVersion.from_labels(before)):
        return Found(labels, None, deleted=False)
    return Found(labels, before, deleted=knows_run(before["run_id"]))
