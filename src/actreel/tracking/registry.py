"""The model registry: versions of a dataset's models, and which of them is champion."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from actreel.errors import ModelError
from actreel.inference.model_folder import MODEL_CARD_FILE, SEEN_FILE
from actreel.tracking.pyfunc import MODEL_FOLDER, REQUIREMENTS, PathClassifier
from actreel.tracking.store import connect, is_missing, requirements

CHAMPION = "champion"
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Champion:
    """The best registered model of a dataset.

    Attributes:
        registered_model: Its name in the registry.
        version: Its version there.
        run_id: The run that trained it.
        tags: Those of the version, such as its `accuracy`.
    """

    registered_model: str
    version: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def labels(self) -> dict[str, str]:
        """Which model this is, as labels for what is built from it."""
        return {
            **self.tags,
            "registered_model": self.registered_model,
            "version": self.version,
            "run_id": self.run_id,
        }

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Its model folder, for as long as the context is open.

        Raises:
            ModelError: The registered version holds no model folder.
        """
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"models:/{self.registered_model}/{self.version}"
            local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
            found = sorted(local.glob(f"artifacts/**/{SEEN_FILE}"))
            if not found:
                raise ModelError(
                    f"The registered model {uri} has no {SEEN_FILE}, so it is not a whole model folder. "
                    "Train again: dvc repro --force train"
                )
            folder = found[0].parent
            for page in local.glob(f"artifacts/{MODEL_CARD_FILE}"):
                page.rename(folder / MODEL_CARD_FILE)
            yield folder


def registered_model(dataset: str) -> str:
    """The registry's name for a dataset's models: each dataset has its own champion."""
    return f"actreel-{dataset}"


def register(name: str, folder: Path, tags: Mapping[str, str], model_card: Path | None = None) -> str:
    """Logs a model folder in the open run as a classifier of video files, and registers it.

    Args:
        name: Of the registered model.
        folder: Holds `model.onnx` and `classifier.json`.
        tags: Of this version.
        model_card: The HTML page; `Champion.folder` returns it beside the model's own files.

    Returns:
        The new version's number.
    """
    info = mlflow.pyfunc.log_model(
        name="classifier",
        python_model=PathClassifier(),
        artifacts={MODEL_FOLDER: str(folder)} | ({MODEL_CARD_FILE: str(model_card)} if model_card else {}),
        code_paths=[str(PACKAGE)],
        pip_requirements=requirements(*REQUIREMENTS),
    )
    version = mlflow.register_model(info.model_uri, name, tags=dict(tags))
    return str(version.version)


def find_champion(name: str) -> Champion | None:
    """The version with the alias `champion`, or None."""
    connect()
    client = mlflow.MlflowClient()
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if is_missing(error):
            return None
        raise
    if CHAMPION not in aliases:
        return None
    version = client.get_model_version(name, aliases[CHAMPION])
    return Champion(name, str(version.version), str(version.run_id), dict(version.tags))


def set_champion(name: str, version: str) -> None:
    """Moves the alias `champion` to a version."""
    mlflow.MlflowClient().set_registered_model_alias(name, CHAMPION, version)
