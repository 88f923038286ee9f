"""Runs: what is recorded of a training or an experiment, and reading it again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from actreel.config import DatasetParams, ModelParams, Params, SplitParams
from actreel.dataset.layout import SPLITS
from actreel.errors import MOST_NAMED, ModelError
from actreel.tracking.drifts import is_drift
from actreel.tracking.names import telling_name
from actreel.tracking.store import EXPERIMENT, bring_back_run, connect, requirements


@contextmanager
def training_run(
    params: Params, split: SplitParams, index: pd.DataFrame, data_version: str, kept: Path | None = None
) -> Iterator[str]:
    """Opens the run of one model, and records parameters, dataset, code and machine from the start.

    Args:
        params: All of them.
        split: How clips are held out.
        index: Rows with `clip`, `action`, `group`, `split` and `sha256`.
        data_version: Of the index.
        kept: File that keeps the run's id, see `parent_run`.

    Yields:
        The run's id.
    """
    connect()
    mlflow.set_system_metrics_sampling_interval(2)
    with _kept_run(_name_of(params), kept, nested=False, log_system_metrics=True) as run_id:
        mlflow.log_params(_flat(params))
        mlflow.set_tags(
            {
                "dataset": params.dataset.label,
                "data_version": data_version,
                "protocol": split.protocol,
                "leaky": str(split.leaky).lower(),
                "dvc_lock_sha256": _digest(Path("dvc.lock")),
            }
        )
        if experiment := os.environ.get("DVC_EXP_NAME"):  # `dvc exp show` calls the run so
            mlflow.set_tag("dvc_exp_name", experiment)
        _stamp(run_id)
        _log_dataset(index, params.dataset, data_version)
        if Path("dvc.lock").exists():
            mlflow.log_artifact("dvc.lock")
        yield run_id


def _name_of(params: Params) -> str:
    plain = f"{params.dataset.label} {params.model.encoder}+{params.model.head}"
    earlier = [
        run
        for run in mlflow.search_runs(
            [mlflow.get_experiment_by_name(EXPERIMENT).experiment_id],
            order_by=["attributes.start_time ASC"],
            output_format="list",
        )
        # Only a training run has a data version.
        if run.data.tags.get("dataset") == params.dataset.label and "data_version" in run.data.tags
    ]
    first = earlier[0].data.params if earlier else None
    return telling_name(plain, _flat(params), first, [run.info.run_name for run in earlier])


def _log_dataset(index: pd.DataFrame, params: DatasetParams, version: str) -> None:
    """Adds the clips of each split to the open run, each with its action and group."""
    for split in SPLITS:
        rows = index.loc[index["split"] == split, ["clip", "action", "group", "sha256"]]
        with warnings.catch_warnings():
            # MLflow warns that two of its own kinds of source match a local path.
            warnings.simplefilter("ignore", UserWarning)
            data = mlflow.data.from_pandas(
                rows, source=params.path, name=params.label, digest=f"{version}-{split}", targets="action"
            )
        mlflow.log_input(data, context=split)


@contextmanager
def reopened_run(run_id: str) -> Iterator[None]:
    """Opens a run again, so that a later stage can add its results.

    Raises:
        ModelError: The run is not in the store.
    """
    connect()
    if not bring_back_run(run_id):
        raise ModelError(
            f"The model's MLflow run {run_id} is not in the store {mlflow.get_tracking_uri()}. "
            "Train again: dvc repro --force train. If another machine trained it, share its store: see docs/team.md"
        )
    with mlflow.start_run(run_id=run_id, log_system_metrics=False):
        yield


@contextmanager
def parent_run(params: Params, name: str, protocol: str, leaky: bool, kept: Path | None) -> Iterator[str]:
    """Opens the run that holds the runs of several models.

    Args:
        params: Those that the models share.
        name: The run's name.
        protocol: How clips are held out.
        leaky: Whether groups cross splits.
        kept: File that keeps the run's id, so that an interrupted run continues; None always opens a new run.

    Yields:
        The run's id.
    """
    connect()
    with _kept_run(name, kept, nested=False) as run_id:
        mlflow.log_params(_flat(params))
        mlflow.set_tags({"dataset": params.dataset.label, "protocol": protocol, "leaky": str(leaky).lower()})
        _stamp(run_id)
        yield run_id


@contextmanager
def child_run(name: str, kept: Path | None) -> Iterator[str]:
    """Opens one model's run inside the parent run; see `parent_run`."""
    with _kept_run(name, kept, nested=True) as run_id:
        yield run_id


def _stamp(run_id: str) -> None:
    """Tags the open run with the commit, unless it continues: then it was started by the code that its tag names."""
    if "git_commit" not in mlflow.get_run(run_id).data.tags:
        mlflow.set_tag("git_commit", git_commit())


@contextmanager
def _kept_run(name: str, kept: Path | None, *, nested: bool, log_system_metrics: bool | None = None) -> Iterator[str]:
    known = kept.read_text(encoding="utf-8") if kept and kept.exists() else None
    if known and not bring_back_run(known):
        known = None  # the store was deleted since
    with mlflow.start_run(
        run_id=known, run_name=None if known else name, nested=nested, log_system_metrics=log_system_metrics
    ) as run:
        if kept:
            kept.write_text(run.info.run_id, encoding="utf-8")
        yield run.info.run_id


def log_epoch(epoch: int, metrics: Mapping[str, float], prefix: str = "") -> None:
    """Adds one epoch's metrics to the open run, as `train_…` and `val_…`: plain names are kept for the test clips."""
    named = {name if name.startswith("val_") else f"train_{name}": float(value) for name, value in metrics.items()}
    mlflow.log_metrics({f"{prefix}{name}": value for name, value in named.items()}, step=epoch)


def log_settings(settings: Mapping[str, Any]) -> None:
    """Adds the settings that differ between the open run and its siblings."""
    mlflow.log_params(dict(settings))


def log_metrics(metrics: Mapping[str, Any]) -> None:
    """Adds final metrics to the open run; values that are not numbers become tags."""
    numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
    mlflow.log_metrics(numbers)
    mlflow.set_tags({name: value for name, value in metrics.items() if name not in numbers})


def log_file(path: Path, folder: str) -> None:
    """Adds a file to the open run."""
    mlflow.log_artifact(str(path), folder)


def log_folder(folder: Path, name: str) -> None:
    """Adds a folder, with its subfolders, to the open run."""
    mlflow.log_artifacts(str(folder), name)


def log_decision(decision: Mapping[str, Any]) -> None:
    """Tags the open run with whether its model became champion, and why; with what the order of frames adds too."""
    tags = {"champion": str(decision["promoted"]).lower(), "verdict": decision["reason"]}
    mlflow.set_tags(tags | {"order": decision["order"]} if "order" in decision else tags)


def log_network(network: ModelParams) -> None:
    """Tags the open run with the network that became its model: its own one, or the order-blind baseline."""
    mlflow.set_tag("network", network.title)


def log_keras_model(model: Any) -> None:
    """Adds a `keras.Model` with one input and one output to the open run, with its signature."""
    taken, given = model.input, model.output
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(taken.dtype), (-1, *taken.shape[1:]), taken.name)]),
        outputs=Schema([TensorSpec(np.dtype(given.dtype), (-1, *given.shape[1:]))]),
    )
    mlflow.tensorflow.log_model(
        model, name="keras", signature=signature, pip_requirements=requirements("keras", "numpy")
    )


@dataclass(frozen=True)
class Run:
    """A run as it is in the store.

    Attributes:
        run_id: Its id.
        name: Its name on MLflow's pages.
        params: Its parameters by `section.key`, as text.
        metrics: The last value of each.
        tags: Ours, and those that MLflow sets.
    """

    run_id: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def find_run(wanted: str) -> Run:
    """Finds the run of a model or an experiment by its name, its id, or the start of its id.

    Raises:
        ModelError: No run matches, or several do.
    """
    connect()
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    runs = [run for run in runs if not is_drift(run.data.tags)]
    named = [run for run in runs if run.info.run_name == wanted]
    found = named or [run for run in runs if wanted and run.info.run_id.startswith(wanted)]
    if not found:
        raise ModelError(
            f"No run matches '{wanted}' among the {len(runs)} runs in {mlflow.get_tracking_uri()}. "
            "Use a run's id, the start of an id, a run's name, or: champion. List them with: make ui"
        )
    if len(found) > 1:
        known = ", ".join(run.info.run_id[:8] for run in found[:MOST_NAMED])
        raise ModelError(
            f"{len(found)} runs match '{wanted}': {known}{' and more' if len(found) > MOST_NAMED else ''}. "
            "Use the start of one id."
        )
    (run,) = found
    return Run(run.info.run_id, run.info.run_name, run.data.params, run.data.metrics, run.data.tags)


def read_artifact(run: Run, path: str) -> str:
    """The text of a file that was logged with a run.

    Raises:
        ModelError: The run has no such file.
    """
    try:
        return str(mlflow.artifacts.load_text(f"runs:/{run.run_id}/{path}"))
    except (MlflowException, OSError) as error:
        raise ModelError(
            f"Run {run.run_id} ('{run.name}') has no {path}, which the stage evaluate logs. "
            "Evaluate it: dvc repro --force evaluate"
        ) from error


CODE = ("src", "pipelines", "dvc.yaml", "requirements.lock")
"""What a commit must hold unchanged to stand for the code of a model."""


def git_commit() -> str:
    """The checked-out commit, with `-dirty` if the code differs from it, or `unknown` outside a repository."""
    try:
        commit, changes = (
            subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", *CODE])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changes else commit


def short_commit(commit: str) -> str:
    """The first 12 digits of what `git_commit` gives; `-dirty` stays."""
    digits, dash, dirty = commit.partition("-")
    return digits[:12] + dash + dirty


def _flat(params: Params) -> dict[str, Any]:
    sections = params.model_dump(by_alias=True).items()
    return {f"{section}.{key}": value for section, values in sections for key, value in values.items()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none yet"
