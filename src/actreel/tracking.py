"""Runs, artifacts and the model registry: the only file that imports MLflow.

Everything lives in `mlflow.db` and `mlartifacts/` at the repository's top, also for experiments that DVC runs in a
copy of the repository; `MLFLOW_TRACKING_URI` sends it to a server instead.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from actreel.config import ClipSpec, DatasetParams, Params, SplitParams
from actreel.dataset.records import TRAIN, VAL
from actreel.errors import MOST_NAMED, ModelError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import MODEL_CARD_FILE, SEEN_FILE

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

# Its notes on every table it makes and every model it stores would bury what the stages say.
logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)

EXPERIMENT = "actreel"
CHAMPION = "champion"
MODEL_FOLDER = "model"


def project_root(start: Path | None = None) -> Path:
    """The repository's top, also from within the copy of it that a queued DVC experiment runs in."""
    here = (start or Path.cwd()).resolve()
    for parent in here.parents:
        if parent.name == ".dvc":  # DVC's copies lie in .dvc/tmp/exps/
            return parent.parent
    return here


def connect() -> None:
    """Points MLflow at the project's store, and makes the experiment if there is none yet."""
    root = project_root()
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}")
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        remote = mlflow.get_tracking_uri().startswith(("http://", "https://"))
        mlflow.create_experiment(EXPERIMENT, None if remote else (root / "mlartifacts").as_uri())
    mlflow.set_experiment(EXPERIMENT)


@contextmanager
def training_run(
    params: Params, split: SplitParams, index: pd.DataFrame, data_version: str, kept: Path | None = None
) -> Iterator[str]:
    """Opens the run of one model: parameters, dataset, code and machine are recorded from the start.

    Args:
        params: All of them.
        split: How clips are held out.
        index: Rows with `clip`, `action`, `group`, `split` and `sha256`.
        data_version: Of the index.
        kept: File with the run's id, see `parent_run`.

    Yields:
        The run's id.
    """
    connect()
    mlflow.set_system_metrics_sampling_interval(2)
    name = f"{params.dataset.label} {params.model.encoder}+{params.model.head}"
    with _kept_run(name, kept, nested=False, log_system_metrics=True) as run_id:
        mlflow.log_params(_flat(params))
        mlflow.set_tags(
            {
                "dataset": params.dataset.label,
                "data_version": data_version,
                "protocol": split.protocol,
                "leaky": str(split.leaky).lower(),
                "git_commit": git_commit(),
                "dvc_lock_sha256": _digest(Path("dvc.lock")),
            }
        )
        _log_dataset(index, params.dataset, data_version)
        if Path("dvc.lock").exists():
            mlflow.log_artifact("dvc.lock")
        yield run_id


def _log_dataset(index: pd.DataFrame, params: DatasetParams, version: str) -> None:
    """Adds what was learned from to the open run: each clip with its action and group."""
    for split in (TRAIN, VAL):
        rows = index.loc[index["split"] == split, ["clip", "action", "group", "sha256"]]
        with warnings.catch_warnings():
            # It cannot tell two of its own kinds of local path apart, and says so.
            warnings.simplefilter("ignore", UserWarning)
            data = mlflow.data.from_pandas(
                rows, source=params.path, name=params.label, digest=f"{version}-{split}", targets="action"
            )
        mlflow.log_input(data, context=split)


@contextmanager
def reopened_run(run_id: str) -> Iterator[None]:
    """Goes on with a run, to add what a later stage learns.

    Raises:
        ModelError: The store does not know the run.
    """
    connect()
    try:
        mlflow.get_run(run_id)
    except MlflowException as error:
        raise ModelError(
            f"the model's MLflow run must be in the store. Received: run {run_id}, unknown to "
            f"{mlflow.get_tracking_uri()}. Train again: dvc repro --force train"
        ) from error
    with mlflow.start_run(run_id=run_id, log_system_metrics=False):
        yield


@contextmanager
def parent_run(params: Params, name: str, protocol: str, leaky: bool, kept: Path | None) -> Iterator[str]:
    """Opens the run that holds the runs of several models.

    Args:
        params: What they share.
        name: The run's name.
        protocol: How clips are held out.
        leaky: Whether groups cross splits.
        kept: File with the run's id, so that an interrupted run is gone on with; None always opens a new one.

    Yields:
        The run's id.
    """
    connect()
    with _kept_run(name, kept, nested=False) as run_id:
        mlflow.log_params(_flat(params))
        tags = {"dataset": params.dataset.label, "protocol": protocol, "leaky": str(leaky).lower()}
        mlflow.set_tags(tags | {"git_commit": git_commit()})
        yield run_id


@contextmanager
def child_run(name: str, kept: Path | None) -> Iterator[str]:
    """Opens one model's run within a parent's; see `parent_run`."""
    with _kept_run(name, kept, nested=True) as run_id:
        yield run_id


@contextmanager
def _kept_run(name: str, kept: Path | None, *, nested: bool, log_system_metrics: bool | None = None) -> Iterator[str]:
    known = kept.read_text(encoding="utf-8") if kept and kept.exists() else None
    if known:
        try:
            mlflow.get_run(known)
        except MlflowException:
            known = None  # the store was removed meanwhile
    with mlflow.start_run(
        run_id=known, run_name=None if known else name, nested=nested, log_system_metrics=log_system_metrics
    ) as run:
        if kept:
            kept.write_text(run.info.run_id, encoding="utf-8")
        yield run.info.run_id


def log_epoch(epoch: int, metrics: Mapping[str, float], prefix: str = "") -> None:
    """Adds one epoch's metrics to the open run, as `train_…` and `val_…`: plain names are the test's."""
    named = {name if name.startswith("val_") else f"train_{name}": float(value) for name, value in metrics.items()}
    mlflow.log_metrics({f"{prefix}{name}": value for name, value in named.items()}, step=epoch)


def log_settings(settings: Mapping[str, Any]) -> None:
    """Adds what distinguishes the open run from its siblings."""
    mlflow.log_params(dict(settings))


def log_metrics(metrics: Mapping[str, Any]) -> None:
    """Adds final metrics to the open run; what is no number becomes a tag."""
    numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
    mlflow.log_metrics(numbers)
    mlflow.set_tags({name: value for name, value in metrics.items() if name not in numbers})


def log_file(path: Path, folder: str) -> None:
    """Adds a file to the open run."""
    mlflow.log_artifact(str(path), folder)


def log_folder(folder: Path, name: str) -> None:
    """Adds the files of a folder, and of those in it, to the open run."""
    mlflow.log_artifacts(str(folder), name)


def log_verdict(verdict: Mapping[str, Any]) -> None:
    """Says in the open run whether its model became champion, and why or why not."""
    mlflow.set_tags({"champion": str(verdict["promoted"]).lower(), "verdict": verdict["reason"]})


def log_keras_model(model: Any, spec: ClipSpec, num_classes: int) -> None:
    """Adds the Keras model to the open run, with its signature."""
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, *spec.shape), "clip")]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, num_classes))]),
    )
    mlflow.tensorflow.log_model(
        model, name="keras", signature=signature, pip_requirements=_requirements("keras", "numpy")
    )


class NamedAction(BaseModel):
    """The surest action of a video, how sure the model is of it, in [0, 1], and whether it is any that it knows."""

    label: str
    confidence: float
    known: bool


class PathClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """The classifier as MLflow serves models: `predict(["a.avi", "b.mp4"])` takes paths of video files."""

    def load_context(self, context: Any) -> None:
        """Opens the model folder."""
        self._classifier = ActionClassifier.load(Path(context.artifacts[MODEL_FOLDER]))

    def predict(self, context: Any, model_input: list[str], params: dict[str, Any] | None = None) -> list[NamedAction]:
        """One answer a video."""
        answers = []
        for path in model_input:
            seen = self._classifier.recognise(Path(path))
            surest = self._classifier.ranked(seen.probabilities)[0]
            known = self._classifier.knows(seen.distances)
            answers.append(NamedAction(label=surest.label, confidence=surest.confidence, known=known))
        return answers


def register(name: str, folder: Path, tags: Mapping[str, str], model_card: Path | None = None) -> str:
    """Logs a model folder in the open run as a classifier of files, and registers it.

    Args:
        name: The registered model's.
        folder: Holds `model.onnx` and `classifier.json`.
        tags: What is said of this version.
        model_card: A page that goes with it: `Champion.folder` gives it beside the model's own files.

    Returns:
        The version, as the registry numbers it.
    """
    info = mlflow.pyfunc.log_model(
        name="classifier",
        python_model=PathClassifier(),
        artifacts={MODEL_FOLDER: str(folder)} | ({MODEL_CARD_FILE: str(model_card)} if model_card else {}),
        code_paths=[str(Path(__file__).parent)],
        pip_requirements=_requirements(
            "mlflow",
            "pandas",
            "matplotlib",
            "av",
            "numpy",
            "onnxruntime",
            "opencv-python-headless",
            "pydantic",
            "pyyaml",
        ),
    )
    version = mlflow.register_model(info.model_uri, name, tags=dict(tags))
    return str(version.version)


@dataclass(frozen=True)
class Champion:
    """The registry's best model of a dataset.

    Attributes:
        registered_model: Its name in the registry.
        version: Its version there.
        run_id: The run that trained it.
        tags: What was said of it when it was registered, such as its `accuracy`.
    """

    registered_model: str
    version: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def labels(self) -> dict[str, str]:
        """Which model this is, as labels for what is made from it."""
        return {
            **self.tags,
            "registered_model": self.registered_model,
            "version": self.version,
            "run_id": self.run_id,
        }

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Its model folder, for as long as the context is open."""
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"models:/{self.registered_model}/{self.version}"
            local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
            found = sorted(local.glob(f"artifacts/**/{SEEN_FILE}"))
            if not found:
                raise ModelError(
                    f"a registered model must hold its model folder. Received: {uri} without {SEEN_FILE}. "
                    "Train again: dvc repro --force train"
                )
            folder = found[0].parent
            for page in local.glob(f"artifacts/{MODEL_CARD_FILE}"):
                page.rename(folder / MODEL_CARD_FILE)
            yield folder


def registered_model(dataset: str) -> str:
    """The registry's name for a dataset's models: each dataset has a champion of its own."""
    return f"actreel-{dataset}"


def find_champion(name: str) -> Champion | None:
    """The version that holds the alias `champion`, or None."""
    connect()
    client = mlflow.MlflowClient()
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException:
        return None
    if CHAMPION not in aliases:
        return None
    version = client.get_model_version(name, aliases[CHAMPION])
    return Champion(name, str(version.version), str(version.run_id), dict(version.tags))


def crown(name: str, version: str) -> None:
    """Moves the alias `champion` to a version."""
    mlflow.MlflowClient().set_registered_model_alias(name, CHAMPION, version)


@dataclass(frozen=True)
class Run:
    """What the store holds of a run.

    Attributes:
        run_id: Its id.
        name: As MLflow shows it.
        params: Its parameters, `section.key`, as text.
        metrics: The last value of each.
        tags: Ours, and those that MLflow sets.
    """

    run_id: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def find_run(wanted: str) -> Run:
    """Finds a run by its name, its id, or the beginning of its id.

    Raises:
        ModelError: The store holds no such run, or several.
    """
    connect()
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    named = [run for run in runs if run.info.run_name == wanted]
    found = named or [run for run in runs if wanted and run.info.run_id.startswith(wanted)]
    if not found:
        raise ModelError(
            f"a run must be in the store. Received: '{wanted}', unknown to {mlflow.get_tracking_uri()} among "
            f"{len(runs)} runs. Take an id, its beginning or a name that MLflow's pages show, or: {CHAMPION}"
        )
    if len(found) > 1:
        known = ", ".join(run.info.run_id[:8] for run in found[:MOST_NAMED])
        raise ModelError(
            f"a run's name or beginning must fit one run. Received: '{wanted}', which fits {len(found)}: {known}"
            f"{' and more' if len(found) > MOST_NAMED else ''}. Take the beginning of an id."
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
            f"a run must hold {path}, which the stage evaluate logs. Received: run {run.run_id} ('{run.name}') "
            "without it. Evaluate it: dvc repro --force evaluate"
        ) from error


def git_commit() -> str:
    """The commit that is checked out, or `unknown` outside a repository."""
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def _flat(params: Params) -> dict[str, Any]:
    sections = params.model_dump(by_alias=True).items()
    return {f"{section}.{key}": value for section, values in sections for key, value in values.items()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none yet"


def _requirements(*packages: str) -> list[str]:
    """The installed versions; left to itself MLflow loads the model once more to find them, which takes 8 s."""
    return [f"{package}=={version_of(package)}" for package in packages]
