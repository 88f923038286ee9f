"""The model registry: versions of a dataset's models, and which of them is champion."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url

from actreel.dataset.lock import exclusive_lock
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import MODEL_CARD_FILE, SEEN_FILE
from actreel.tracking.names import registered_model as registered_model
from actreel.tracking.promotions import How, Promotion, labels_for
from actreel.tracking.pyfunc import MODEL_FOLDER, REQUIREMENTS, PathClassifier, example_video
from actreel.tracking.store import connect, is_missing, requirements, suppress_missing

CHAMPION = "champion"
DRAFT = "draft"
"""The alias of the version that was taught last, until it becomes champion; see `actreel.teaching`."""
MAX_DESCRIPTION = 5000
"""MLflow's database holds no longer description of a version."""
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class ModelVersion:
    """A registered version of a dataset's models.

    Attributes:
        registered_model: The name in the registry.
        version: Its number there.
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
            **labels_for(self.version, self.tags),
            "registered_model": self.registered_model,
            "version": self.version,
            "run_id": self.run_id,
        }

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> ModelVersion:
        """The version that `labels` says."""
        tags = dict(labels)
        name, version, run_id = (tags.pop(key) for key in ("registered_model", "version", "run_id"))
        return cls(name, version, run_id, tags)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Its model folder, for as long as the context is open.

        Raises:
            ModelError: The registry does not hold this version, or the version holds no model folder.
        """
        connect()
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"models:/{self.registered_model}/{self.version}"
            try:
                local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
            except MlflowException as error:
                if not is_missing(error):
                    raise
                raise ModelError(
                    f"The registry {mlflow.get_tracking_uri()} does not hold '{self.registered_model}' version "
                    f"{self.version}. Ask it again who is champion: dvc repro"
                ) from error
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


def register(name: str, folder: Path, tags: Mapping[str, str], model_card: Path | None = None) -> str:
    """Logs a model folder in the open run as a classifier of video files, and registers it.

    Args:
        name: Of the registered model.
        folder: Holds `model.onnx` and `classifier.json`.
        tags: Of this version.
        model_card: The HTML page; `ModelVersion.folder` returns it beside the model's own files. If it lies
            beside it in Markdown too, that becomes the description of the version.

    Returns:
        The new version's number.
    """
    info = mlflow.pyfunc.log_model(
        name="classifier",
        python_model=PathClassifier(),
        artifacts={MODEL_FOLDER: str(folder)} | ({MODEL_CARD_FILE: str(model_card)} if model_card else {}),
        input_example=_example_for(folder),
        code_paths=[str(PACKAGE)],
        pip_requirements=requirements(*REQUIREMENTS),
    )
    version = str(mlflow.register_model(info.model_uri, name, tags=dict(tags)).version)
    if model_card and (text_file := model_card.with_suffix(".md")).exists():
        text = text_file.read_text(encoding="utf-8")
        mlflow.MlflowClient().update_model_version(name, version, _description(text, f"models:/{name}/{version}"))
    return version


def _example_for(folder: Path) -> list[str] | None:
    """A request that MLflow tries the model with; None for a model of signals, which a video alone does not bring."""
    track = ActionClassifier.load(folder).card.track
    return None if track is not None and track.signals is not None else [example_video()]


def _description(card: str, uri: str) -> str:
    """How to use a version, then its model card up to the results by action: actions, accuracy and protocol."""
    usage = f"""## Use

```python
import mlflow

mlflow.pyfunc.load_model("{uri}").predict(["wave.mp4", "clips/jump.avi"])
```

It takes paths of video files, and gives `label`, `confidence` and `known` for each. In place of a path, a video itself
may be sent, as in the input example: `data:video/mp4;base64,...`.

"""
    return (usage + card.partition("\n## Results by action")[0])[:MAX_DESCRIPTION]


def find_champion(name: str) -> ModelVersion | None:
    """The version with the alias `champion`, or None."""
    return find_alias(name, CHAMPION)


def find_alias(name: str, alias: str) -> ModelVersion | None:
    """The version with an alias, or None."""
    model = _registered(name)
    return _version(name, model.aliases[alias]) if model and alias in model.aliases else None


def holds(version: ModelVersion) -> bool:
    """Whether the registry holds this version, and not another run's with the same number."""
    connect()
    held = _version(version.registered_model, version.version)
    return held is not None and held.run_id == version.run_id


def find_model(name: str) -> RegisteredModel:
    """The registered model of a name.

    Raises:
        ModelError: The registry holds no such model.
    """
    model = _registered(name)
    if model is None:
        known = ", ".join(sorted(model.name for model in mlflow.MlflowClient().search_registered_models()))
        raise ModelError(
            f"The registry {mlflow.get_tracking_uri()} holds no model '{name}'. "
            + (f"It holds: {known}" if known else "It is empty. Train a model: make repro")
        )
    return model


def find_version(asked: str) -> ModelVersion:
    """The version that `asked` names: `NAME` its champion, `NAME@3` its version 3, `NAME@ALIAS` the one with an alias.

    Raises:
        ModelError: The registry holds no such version.
    """
    name, _, which = asked.partition("@")
    model = find_model(name)
    number = str(model.aliases.get(which or CHAMPION, which))
    found = _version(name, number) if number.isdecimal() else None
    if found is None:
        newest = max((int(version.version) for version in model.latest_versions), default=0)
        raise ModelError(
            f"'{name}' has no {'version or alias' if which else 'alias'} '{which or CHAMPION}'. "
            f"Its newest version is {newest}, its aliases: {', '.join(sorted(model.aliases)) or 'none'}. "
            f"Name one, for example: {name}@{newest}"
        )
    return found


def versions(name: str) -> list[ModelVersion]:
    """The versions of a registered model; none if there is no such model."""
    connect()
    held = mlflow.MlflowClient().search_model_versions(f"name='{name}'")
    return [ModelVersion(name, str(each.version), str(each.run_id), dict(each.tags)) for each in held]


def logged_model(version: ModelVersion) -> str:
    """MLflow's id of the files that a version was registered from; they outlive the version and its run."""
    source = mlflow.MlflowClient().get_model_version(version.registered_model, version.version).source
    return str(source).rpartition("/")[2]


def runs_with_tag(name: str, tag: str, value: str) -> set[str]:
    """The runs of a registered model's versions that have a tag with this value."""
    return {version.run_id for version in versions(name) if version.tags.get(tag) == value}


def champions() -> list[str]:
    """The names of the registered models that have a champion."""
    connect()
    models = mlflow.MlflowClient().search_registered_models()
    return sorted(model.name for model in models if CHAMPION in model.aliases)


def _registered(name: str) -> RegisteredModel | None:
    connect()
    with suppress_missing():
        return mlflow.MlflowClient().get_registered_model(name)
    return None


def _version(name: str, number: str) -> ModelVersion | None:
    with suppress_missing():
        version = mlflow.MlflowClient().get_model_version(name, number)
        return ModelVersion(name, str(version.version), str(version.run_id), dict(version.tags))
    return None


def set_champion(name: str, version: str, instead_of: str | None, how: How = "rules", reason: str = "") -> Promotion:
    """Moves the alias `champion` to a version, if it is where the caller believes it to be, and records why.

    Args:
        name: Of the registered model.
        version: The new champion.
        instead_of: The version that was champion when the caller decided; None: there was none.
        how: What made it champion.
        reason: Why.

    Returns:
        What was recorded.

    Raises:
        ModelError: Another process has moved the alias since; it stays as it is.
    """
    with _alias_lock():
        now = find_champion(name)
        if (now.version if now else None) != instead_of:
            raise ModelError(
                f"Another process has moved the alias '{CHAMPION}' of '{name}' while version {version} was compared "
                f"with {f'version {instead_of}' if instead_of else 'no champion'}: it is "
                f"{f'version {now.version}' if now else 'no version'} now, and stays so. Compare again: dvc repro"
            )
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(name, CHAMPION, version)
        promotion = Promotion.now(version, how, reason, instead_of)
        client.set_model_version_tag(name, version, *promotion.tag)
        return promotion


def set_draft(name: str, version: str) -> None:
    """Makes a version the draft of its model, in place of an earlier one, which stays a version."""
    connect()
    mlflow.MlflowClient().set_registered_model_alias(name, DRAFT, version)


def end_draft(name: str, version: str) -> None:
    """Takes the alias `draft` from a version, if it has it."""
    model = _registered(name)
    if model and str(model.aliases.get(DRAFT)) == version:
        mlflow.MlflowClient().delete_registered_model_alias(name, DRAFT)


@contextmanager
def _alias_lock() -> Iterator[None]:
    """Keeps other processes of ours from moving an alias; MLflow's API can only read and write one.

    A server's store cannot be locked from here: the moment between reading and writing is left there.
    """
    uri = mlflow.get_tracking_uri()
    database = make_url(uri).database if uri.startswith("sqlite:") else None
    if database is None:
        yield
        return
    file = Path(database)
    with exclusive_lock(file.with_name(f".{file.name}.lock")):
        yield
