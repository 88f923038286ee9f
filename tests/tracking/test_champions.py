import shutil
from pathlib import Path

import mlflow
import pytest

from actreel.config import ClipSpec
from actreel.errors import ConfigError, ModelError
from actreel.tracking import registry
from actreel.tracking.champions import check_registry, list_versions, promote, roll_back
from tests.tracking.test_registry import model_folder

NAME = "actreel-grey"


def champion() -> str | None:
    found = registry.find_champion(NAME)
    return found and found.version


def test_without_a_registry_none_is_made(project: Path) -> None:
    for ask in (lambda: list_versions(NAME), lambda: promote(f"{NAME}@1", "x"), lambda: roll_back(NAME)):
        with pytest.raises(ModelError, match=r"no model registry here yet: '.*mlflow\.db'.*make repro"):
            ask()
    assert not (project / "mlflow.db").exists()
    (project / "dvc.yaml").unlink()
    with pytest.raises(ConfigError, match="Run this from the project's folder"):
        check_registry()


def test_versions_are_promoted_and_rolled_back_with_their_history(project: Path, spec: ClipSpec) -> None:
    registry.connect()
    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    for version in ("1", "2", "3"):
        model_folder(project / version / "artifacts" / "model", spec)
        client.create_model_version(NAME, (project / version).as_uri(), f"run{version}")
    with pytest.raises(ModelError, match=rf"has no champion to go back from.*actreel models list {NAME}"):
        roll_back(NAME)
    registry.set_champion(NAME, "1", None, reason="it is the first")
    with pytest.raises(ModelError, match="champion of 'actreel-grey' was none that is recorded"):
        roll_back(NAME)
    with pytest.raises(ModelError, match=r"needs a reason.*Received: '  '.*--reason"):
        promote(f"{NAME}@2", "  ")
    with pytest.raises(ModelError, match=r"no version or alias '9'. Its newest version is 3"):
        promote(f"{NAME}@9", "x")
    with pytest.raises(ModelError, match="version 1 is champion already"):
        promote(f"{NAME}@1", "x")
    assert champion() == "1"
    done = promote(f"{NAME}@3", " nights ")
    assert (done.version, done.instead_of, done.reason, champion()) == ("3", "1", "nights", "3")
    newest, _, oldest = list_versions(NAME)
    assert (newest.champion, oldest.champion) == (True, False)
    assert [(each.how, each.reason) for each in newest.promotions] == [("hand", "nights")]
    assert [(each.how, each.reason) for each in oldest.promotions] == [("rules", "it is the first")]
    assert newest.version.run_id == "run3"
    assert newest.registered_at[:2] == "20"

    # A version whose files are gone or damaged is refused, and the champion stays.
    file = project / "2" / "artifacts" / "model" / "classifier.json"
    for damage in (lambda file: file.write_text("{", encoding="utf-8"), lambda file: shutil.rmtree(file.parents[1])):
        damage(file)
        with pytest.raises(ModelError):
            promote(f"{NAME}@2", "x")
        assert champion() == "3"

    back = roll_back(NAME)
    assert (back.version, back.how, back.reason, champion()) == ("1", "rollback", "version 3 was rolled back", "1")
    with pytest.raises(ModelError, match="was none that is recorded"):
        roll_back(NAME)
    promote(f"{NAME}@3", "days")
    mlflow.MlflowClient().delete_model_version(NAME, "1")
    with pytest.raises(ModelError, match="was version 1, which was deleted"):
        roll_back(NAME)


def test_an_unknown_model_is_named(project: Path) -> None:
    registry.connect()
    with pytest.raises(ModelError, match=r"holds no model 'actreel-other'. It is empty"):
        list_versions("actreel-other")
