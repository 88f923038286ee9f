import os
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from actreel import tracking
from actreel.config import ClipSpec, Params, load_params
from actreel.errors import ModelError
from actreel.inference.model_folder import SEEN_FILE, ModelFolder
from tests.conftest import grey_frames, write_model_folder, write_video_file

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder with a store of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture
def index() -> pd.DataFrame:
    columns = {"clip": "c", "action": "a", "group": "g", "sha256": "0"}
    return pd.DataFrame([columns | {"split": split} for split in ("train", "val", "test")])


def model_folder(path: Path, spec: ClipSpec) -> Path:
    folder = write_model_folder(path, spec, ("dark", "bright"))
    ModelFolder(folder).seen_clips.write_text("0\n", encoding="utf-8")
    return folder


def test_a_run_records_params_dataset_code_and_figures(project: Path, params: Params, index: pd.DataFrame) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\n", encoding="utf-8")
    with tracking.training_run(params, params.split, index, "abc123") as run_id:
        tracking.log_epoch(1, {"loss": 2.0, "accuracy": 0.9, "val_accuracy": 0.8})
        tracking.log_epoch(2, {"loss": 1.0})
    with tracking.reopened_run(run_id):
        tracking.log_metrics({"accuracy": 0.5, "protocol": "group_holdout"})
        tracking.log_verdict({"promoted": False, "reason": "too weak"})
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["train.epochs"] == str(params.train.epochs)
    assert run.data.params["validate.min_frames"] == "2"
    assert run.data.metrics["accuracy"] == 0.5  # the test's, not an epoch's
    assert run.data.metrics["val_accuracy"] == 0.8
    assert run.data.tags["data_version"] == "abc123"
    assert len(run.data.tags["dvc_lock_sha256"]) == 64
    assert run.data.tags["verdict"] == "too weak"
    assert {entry.tags[0].value for entry in run.inputs.dataset_inputs} == {"train", "val"}
    losses = mlflow.MlflowClient().get_metric_history(run_id, "train_loss")
    assert [(entry.step, entry.value) for entry in losses] == [(1, 2.0), (2, 1.0)]
    assert (project / "mlflow.db").is_file()
    assert (project / "mlartifacts").is_dir()


def test_a_run_that_fails_is_marked_so(project: Path, params: Params, index: pd.DataFrame) -> None:
    with pytest.raises(KeyError), tracking.training_run(params, params.split, index, "abc") as run_id:
        raise KeyError
    assert mlflow.get_run(run_id).info.status == "FAILED"


def test_a_run_that_is_gone_says_how_to_make_it_again(project: Path) -> None:
    with pytest.raises(ModelError, match="dvc repro --force train"), tracking.reopened_run("0" * 32):
        pass


def test_queued_experiments_use_the_project_s_own_store(tmp_path: Path) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmpabc"
    copy.mkdir(parents=True)
    assert tracking.project_root(copy) == tmp_path
    assert tracking.project_root(tmp_path) == tmp_path


def test_champion_is_registered_crowned_found_and_served(
    project: Path, params: Params, index: pd.DataFrame, spec: ClipSpec
) -> None:
    assert tracking.find_champion("actreel-grey") is None
    with tracking.training_run(params, params.split, index, "abc") as run_id:
        page = project / "reports" / "model_card.html"
        page.parent.mkdir()
        page.write_text("a page", encoding="utf-8")
        folder = model_folder(project / "model", spec)
        version = tracking.register("actreel-grey", folder, {"accuracy": "0.9"}, model_card=page)
    assert tracking.find_champion("actreel-grey") is None  # registered, not crowned
    tracking.crown("actreel-grey", version)
    champion = tracking.find_champion("actreel-grey")
    assert champion == tracking.Champion("actreel-grey", version, run_id)
    with champion.folder() as folder:
        files = {path.name for path in folder.iterdir()}
        assert files == {"model.onnx", "classifier.json", SEEN_FILE, "model_card.html"}

    video = write_video_file(project / "video.avi", grey_frames([250] * 4))
    served = mlflow.pyfunc.load_model("models:/actreel-grey@champion")
    (answer,) = served.predict([str(video)])
    assert answer.label == "bright"
    assert answer.confidence > 0.9


def test_without_git_the_commit_is_unknown(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking.git_commit() == "unknown"
    monkeypatch.setitem(os.environ, "PATH", "")
    assert tracking.git_commit() == "unknown"
