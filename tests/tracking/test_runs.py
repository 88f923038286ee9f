import os
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from actreel.config import Params
from actreel.errors import ModelError
from actreel.tracking import runs


def test_a_run_records_params_dataset_code_and_metrics(project: Path, params: Params, index: pd.DataFrame) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\n", encoding="utf-8")
    with runs.training_run(params, params.split, index, "abc123") as run_id:
        runs.log_epoch(1, {"loss": 2.0, "accuracy": 0.9, "val_accuracy": 0.8})
        runs.log_epoch(2, {"loss": 1.0})
    with runs.reopened_run(run_id):
        runs.log_metrics({"accuracy": 0.5, "protocol": "group_holdout"})
        runs.log_decision({"promoted": False, "reason": "too weak"})
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["train.epochs"] == str(params.train.epochs)
    assert run.data.params["validate.min_frames"] == "2"
    assert run.data.metrics["accuracy"] == 0.5  # of the test clips, not of an epoch
    assert run.data.metrics["val_accuracy"] == 0.8
    assert run.data.tags["data_version"] == "abc123"
    assert len(run.data.tags["dvc_lock_sha256"]) == 64
    assert run.data.tags["verdict"] == "too weak"
    assert {entry.tags[0].value for entry in run.inputs.dataset_inputs} == {"train", "val"}
    losses = mlflow.MlflowClient().get_metric_history(run_id, "train_loss")
    assert [(entry.step, entry.value) for entry in losses] == [(1, 2.0), (2, 1.0)]
    assert (project / "mlflow.db").is_file()
    assert (project / "mlartifacts").is_dir()


def test_a_failed_run_is_marked_as_failed(project: Path, params: Params, index: pd.DataFrame) -> None:
    with pytest.raises(KeyError), runs.training_run(params, params.split, index, "abc") as run_id:
        raise KeyError
    assert mlflow.get_run(run_id).info.status == "FAILED"


def test_a_missing_run_is_an_error_that_says_what_to_do(project: Path) -> None:
    with pytest.raises(ModelError, match="dvc repro --force train"), runs.reopened_run("0" * 32):
        pass


def test_without_git_the_commit_is_unknown(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs.git_commit() == "unknown"
    monkeypatch.setitem(os.environ, "PATH", "")
    assert runs.git_commit() == "unknown"
