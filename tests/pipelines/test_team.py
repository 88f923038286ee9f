"""A team: results are in git, files on a remote, and a clone serves the same champion without training."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actreel.config import load_params
from actreel.statistics import read_statistics
from actreel.tracking.names import registered_model
from tests.pipelines.conftest import Project, stages_run
from tests.pipelines.test_package import served

CLIP = "Darken/v_Darken_g05_c02.avi"


@pytest.fixture(scope="module")
def project(trained: tuple[Project, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The trained project, whose results are committed and whose files are on a remote."""
    project, _ = trained
    remote = tmp_path_factory.mktemp("remote")
    project.run("dvc", "remote", "add", "--default", "team", str(remote))
    project.run("git", "add", ".dvc/config", "dvc.lock", "params.yaml", "reports")
    project.run("git", "commit", "--quiet", "--message", "results")
    project.run("dvc", "push")
    return project


@pytest.fixture(scope="module")
def clone(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A second clone, before `dvc pull`."""
    root = tmp_path_factory.mktemp("clone")
    project.run("git", "clone", "--quiet", str(project.root), str(root))
    env = dict(project.env) | {"PYTHONPATH": str(root / "src"), "BENTOML_HOME": str(root / "bentoml")}
    return Project(root, env)


def test_git_holds_the_metrics_and_what_the_files_were_and_nothing_else(project: Project) -> None:
    changed = project.run("git", "show", "--name-only", "--format=", "HEAD").split()
    assert set(changed) == {".dvc/config", "dvc.lock", "params.yaml", "reports/metrics.json"}
    assert project.run("git", "status", "--short", "--", "artifacts", "reports", ".gitignore") == ""


def test_metrics_are_compared_before_anything_is_pulled(clone: Project) -> None:
    metrics = clone.root / "reports/metrics.json"
    before = metrics.read_text(encoding="utf-8")
    metrics.write_text(json.dumps(json.loads(before) | {"accuracy": 0.5}), encoding="utf-8")
    try:
        differences = json.loads(clone.answer("dvc", "metrics", "diff", "--json"))
    finally:
        metrics.write_text(before, encoding="utf-8")
    assert differences["reports/metrics.json"] == {"accuracy": {"old": 1.0, "new": 0.5, "diff": -0.5}}


def test_the_table_of_experiments_has_few_columns(project: Project) -> None:
    """Of more than a hundred columns, those stay that tell experiments apart."""
    env = project.env | {"COLUMNS": "500"}
    table = Project(project.root, env).run("make", "--silent", "--old-file=setup", "runs", "LAST=2")
    columns = table.splitlines()[1].split()
    assert columns[:1] == ["Experiment"]
    assert {"accuracy", "accuracy_low", "accuracy_high", "mean_pool_accuracy"} <= set(columns)
    assert {column for column in columns if "/" in column} == set()
    changed = {column for column in columns if "." in column}  # between the commits
    assert changed >= {"dataset.path", "train.epochs", "model.units"}
    assert "train.seed" not in changed
    assert len(columns) < 25


def test_a_clone_serves_what_it_has_pulled_and_running_the_pipeline_there_keeps_it(
    clone: Project, fading_dataset: Path, tmp_path: Path
) -> None:
    clone.run("dvc", "pull")
    assert not (clone.root / "mlflow.db").exists()
    champion = json.loads((clone.root / "reports/champion.json").read_text(encoding="utf-8"))
    env = dict(clone.env) | {
        "ACTREEL_STATE_DIR": str(tmp_path / "state"), "ACTREEL_STATISTICS_DIR": str(tmp_path / "statistics"),
    }  # fmt: skip
    with (
        served(["serving.release", "serve"], clone.root, env, tmp_path / "log") as service,
        service.client() as client,
    ):
        video = (fading_dataset / CLIP).read_bytes()
        answer = client.post("/predict_file", files={"video": video}).json()
    assert answer["label"] == "Darken"
    assert answer["model"]["run_id"] == champion["run_id"]
    ((asked,), _) = read_statistics(tmp_path / "statistics", datetime(2000, 1, 1, tzinfo=UTC))
    # By this name `actreel drift` tells them from those of other projects.
    dataset = load_params(clone.root / "params.yaml").dataset.label
    assert asked.model == f"{registered_model(dataset)}@{champion['version']}"
    assert asked.run_id == champion["run_id"]

    bento = (clone.root / "artifacts/bento/bento.yaml").read_bytes()
    output = clone.repro()
    assert stages_run(output) == ["source", "ingest", "champion"], "no stage of DVC's remote is run"
    assert f"version {champion['version']} of actreel-fading, which came with DVC" in output
    assert (clone.root / "artifacts/bento/bento.yaml").read_bytes() == bento
