"""Champions by hand: the registered versions, promoting one of them, and going back to the champion before."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow

from actreel.base.places import MLFLOW_DATABASE, check_project, project_root
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier
from actreel.tracking import registry
from actreel.tracking.promotions import How, Promotion, champions_before, promotions_of

PROMOTE = "actreel models promote"
LIST = "actreel models list"


@dataclass(frozen=True)
class Listed:
    """A registered version in a list.

    Attributes:
        version: The version.
        champion: Whether it is champion now.
        registered_at: When it was registered, UTC, ISO 8601.
        draft: Whether it is the draft that was taught last.
    """

    version: registry.ModelVersion
    champion: bool
    registered_at: str
    draft: bool = False

    @property
    def promotions(self) -> list[Promotion]:
        """When and why it became champion, the oldest first."""
        return promotions_of(self.version.version, self.version.tags)


def check_registry() -> None:
    """Checks that there is a registry, before MLflow makes an empty one.

    Raises:
        ConfigError: This folder is no project's.
        ModelError: Nothing has been registered here yet.
    """
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return
    root = project_root()
    check_project(root)
    if not (root / MLFLOW_DATABASE).is_file():
        raise ModelError(
            f"There is no model registry here yet: '{root / MLFLOW_DATABASE}' does not exist. "
            "Train a model: make repro. If a server has it, name that: export MLFLOW_TRACKING_URI=http://HOST:5000"
        )


def list_versions(name: str) -> list[Listed]:
    """The versions of a registered model, the newest first.

    Raises:
        ModelError: There is no registry, or it holds no such model.
    """
    check_registry()
    champion, draft = (registry.find_alias(name, alias) for alias in (registry.CHAMPION, registry.DRAFT))
    held = mlflow.MlflowClient().search_model_versions(f"name='{name}'")
    if not held:
        registry.find_model(name)
    listed = [
        Listed(
            registry.ModelVersion(name, str(each.version), str(each.run_id), dict(each.tags)),
            champion is not None and str(each.version) == champion.version,
            datetime.fromtimestamp(each.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
            draft is not None and str(each.version) == draft.version,
        )
        for each in held
    ]
    return sorted(listed, key=lambda each: -int(each.version.version))


def promote(asked: str, reason: str) -> Promotion:
    """Makes a version champion by hand.

    Args:
        asked: `NAME@VERSION` or `NAME@ALIAS`.
        reason: Why; kept with the version.

    Returns:
        What was recorded.

    Raises:
        ModelError: There is no registry or no such version, its files are missing or damaged, it is champion already,
            or another process has moved the alias meanwhile.
    """
    check_registry()
    version = registry.find_version(asked)
    champion = registry.find_champion(version.registered_model)
    if champion is not None and champion.version == version.version:
        raise ModelError(
            f"'{version.registered_model}' version {version.version} is champion already. "
            "To package and serve it: make repro && make serve"
        )
    return _crown(version, champion, "hand", reason)


def roll_back(name: str, reason: str | None = None) -> Promotion:
    """Makes the version champion that was it before the present one.

    Args:
        name: Of the registered model.
        reason: Why; None says what was done.

    Returns:
        What was recorded.

    Raises:
        ModelError: There is no registry, no champion, or no earlier one is known; or as for `promote`.
    """
    listed = list_versions(name)
    now = next((each.version for each in listed if each.champion), None)
    if now is None:
        raise ModelError(
            f"'{name}' has no champion to go back from. Choose one: {LIST} {name}, then "
            f"{PROMOTE} {name}@VERSION --reason '...'"
        )
    before = champions_before((promotion for each in listed for promotion in each.promotions), now.version)
    held = {each.version.version: each.version for each in listed}
    if not before or before[-1] not in held:
        gone = f"version {before[-1]}, which was deleted" if before else "none that is recorded"
        raise ModelError(
            f"Before version {now.version}, champion of '{name}' was {gone}. Choose a version: {LIST} {name}, then "
            f"{PROMOTE} {name}@VERSION --reason '...'"
        )
    return _crown(held[before[-1]], now, "rollback", reason or f"version {now.version} was rolled back")


def _crown(version: registry.ModelVersion, champion: registry.ModelVersion | None, how: How, reason: str) -> Promotion:
    """Moves the alias to a version whose files are whole."""
    if not reason.strip():
        raise ModelError(
            f"A promotion by hand needs a reason, which is kept with the version. Received: '{reason}'. "
            f"Try: {PROMOTE} {version.registered_model}@{version.version} --reason 'better at night, in the field'"
        )
    with version.folder() as folder:
        ActionClassifier.load(folder)
    promotion = registry.set_champion(
        version.registered_model, version.version, champion.version if champion else None, how, reason.strip()
    )
    registry.end_draft(version.registered_model, version.version)
    return promotion
