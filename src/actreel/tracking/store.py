"""Where MLflow keeps its data.

Everything is in `mlflow.db` and `mlartifacts/` at the repository's top, also for experiments that DVC runs in a copy of
the repository. With `MLFLOW_TRACKING_URI` it goes to a server instead.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path

import mlflow
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from actreel.base.console import exit_cleanly
from actreel.base.faults import name_file
from actreel.base.kept_warnings import REPAIRED
from actreel.base.places import MLFLOW_DATABASE, check_project, project_root
from actreel.tracking.mlflow_internals import VIEW, VIEW_TAG, move_artifacts, runs_view

log = logging.getLogger(__name__)

# Their messages about every table and every logged model would bury those of the stages.
logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)
# It logs the traceback of an error of the database, and raises it too.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

EXPERIMENT = "actreel"
ARTIFACTS = "mlartifacts"
"""The folder of the artifacts; the database names it with its whole path."""

TAGS = {
    # Development of models, not of language model applications.
    "mlflow.experimentKind": "custom_model_development",
    VIEW_TAG: runs_view(
        columns=[
            *(f"metrics.`{name}`" for name in ("accuracy", "accuracy_low", "accuracy_high")),
            *(f"metrics.`{name}`" for name in ("mean_pool_accuracy", "num_test_clips", "num_test_groups")),
            *(f"tags.`{name}`" for name in ("champion", "verdict", "dvc_exp_name")),
        ],
        bars=["accuracy"],
        lines=["val_accuracy", "val_loss", "train_accuracy", "train_loss"],
    ),
}
"""Tags of the experiment: how MLflow's page shows it."""


@event.listens_for(Engine, "handle_error")
def _name_the_database(context: ExceptionContext) -> None:
    """SQLite's errors name no file; see `actreel.base.faults`."""
    if context.engine is not None and context.engine.dialect.name == "sqlite":
        name_file(context.original_exception, str(context.engine.url.database))


def connect() -> None:
    """Points MLflow at the project's store, and makes the experiment ready there.

    The experiment is created if there is none, and restored if it was deleted on MLflow's page. In a project folder
    that was moved or copied, the store's artifacts are looked for in the folder as it is now.

    Raises:
        ConfigError: The store would be in this folder, which is not a project's.
    """
    root = project_root()
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if not server:
        check_project(root)
    mlflow.set_tracking_uri(server or f"sqlite:///{_database(root)}")
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        remote = mlflow.get_tracking_uri().startswith(("http://", "https://"))
        mlflow.create_experiment(EXPERIMENT, None if remote else (root / ARTIFACTS).as_uri(), tags=TAGS)
    else:
        if experiment.lifecycle_stage == LifecycleStage.DELETED:
            mlflow.MlflowClient().restore_experiment(experiment.experiment_id)
            log.warning(
                f"The MLflow experiment '{EXPERIMENT}' was deleted; it is restored, with its runs.", extra=REPAIRED
            )
        if not server:
            _follow_the_folder(root, experiment.artifact_location)
        for name, value in TAGS.items():
            if experiment.tags.get(name) != value:
                mlflow.MlflowClient().set_experiment_tag(experiment.experiment_id, name, value)
    mlflow.set_experiment(EXPERIMENT)


@dataclass(frozen=True)
class Look:
    """What a store is like.

    Attributes:
        address: Its address.
        models: Registered models in it.
        out_of_date: What MLflow says of a database that another version of it wrote; None if it can be used.
    """

    address: str
    models: int
    out_of_date: str | None


def look_into() -> Look:
    """Opens the project's store as it is: neither is anything added, nor a database of an older MLflow changed."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_database(project_root())}"
    try:
        client = mlflow.MlflowClient(address, address)
        return Look(address, len(client.search_registered_models()), None)
    except MlflowException as error:
        if "database schema" not in str(error):
            raise
        return Look(address, 0, str(error).strip().partition(".")[0])


def runs_page(server: str) -> str:
    """The address of the runs on MLflow's page: the list with accuracies first, and the charts with the losses.

    Args:
        server: The address of the page: `http://localhost:5000`.
    """
    connect()
    number = mlflow.get_experiment_by_name(EXPERIMENT).experiment_id
    # MLflow 3.17 opens on traces of language models, whatever the experiment's kind, unless the address says this.
    return f"{server}/#/experiments/{number}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def is_missing(error: MlflowException) -> bool:
    """Whether an error says that the store does not hold what was asked for; a locked or damaged one raises too."""
    return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")


def knows_run(run_id: str) -> bool:
    """Whether the store holds a run, maybe as a deleted one."""
    try:
        mlflow.get_run(run_id)
    except MlflowException as error:
        if not is_missing(error):
            raise
        return False
    return True


def bring_back_run(run_id: str) -> bool:
    """Makes a run ready to be opened again: one that was deleted on MLflow's page is restored.

    Returns:
        Whether the store holds the run.
    """
    if not knows_run(run_id):
        return False
    run = mlflow.get_run(run_id)
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        mlflow.MlflowClient().restore_run(run_id)
        log.warning(f"The MLflow run '{run.info.run_name}' ({run_id}) was deleted; it is restored.", extra=REPAIRED)
    return True


@contextmanager
def suppress_missing() -> Iterator[None]:
    """Goes on where the store does not hold what was asked for; see `is_missing`."""
    try:
        yield
    except MlflowException as error:
        if not is_missing(error):
            raise


def _database(root: Path) -> str:
    whole = str(root / MLFLOW_DATABASE)
    # SQLAlchemy takes what follows a `?` for options, and decodes `%20`; encoded, MLflow makes a second folder.
    return os.path.relpath(whole) if {"?", "%"} & set(whole) else whole


def _follow_the_folder(root: Path, location: str) -> None:
    here = (root / ARTIFACTS).as_uri()
    # A location that does not end so was chosen by the user.
    if location != here and location.startswith("file:") and location.endswith(f"/{ARTIFACTS}"):
        log.info(f"the project's folder was moved or copied; MLflow's artifacts are now in {root / ARTIFACTS}")
        move_artifacts(root / MLFLOW_DATABASE, location, here)


def requirements(*packages: str) -> list[str]:
    """The packages at their installed versions.

    Without such a list MLflow loads each logged model once more to infer one, which takes 8 s.
    """
    return [f"{package}=={_version_of(package)}" for package in packages]


def _version_of(package: str) -> str:
    try:
        return version_of(package)
    except PackageNotFoundError:  # set up with GPU=1; what is logged needs no GPU
        return version_of(f"{package}-gpu")


def main() -> None:
    """Prints where the runs are on MLflow's page; the address of its server is the only argument."""
    print("The runs:", runs_page(sys.argv[1]))


if __name__ == "__main__":
    exit_cleanly(main)
