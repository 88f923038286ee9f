import os
import subprocess
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from actreel.config import Params, override
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
    assert {entry.tags[0].value for entry in run.inputs.dataset_inputs} == {"train", "val", "test"}
    losses = mlflow.MlflowClient().get_metric_history(run_id, "train_loss")
    assert [(entry.step, entry.value) for entry in losses] == [(1, 2.0), (2, 1.0)]
    assert (project / "mlflow.db").is_file()
    assert (project / "mlartifacts").is_dir()


def test_runs_are_named_by_what_differs_and_know_their_name_in_dvc(
    project: Path, params: Params, index: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for settings in ([], ["train.epochs=3", "evaluate.views=1"], ["model.head=mean"], []):
        changed = override(params, settings)
        with (
            runs.parent_run(changed, "a sweep", "logo", leaky=False, kept=None),
            runs.child_run("no training run", kept=None),
        ):
            pass
        monkeypatch.setenv("DVC_EXP_NAME", f"try-{len(settings)}")
        with runs.training_run(changed, params.split, index, "abc") as run_id:
            names.append(mlflow.get_run(run_id).info.run_name)
    assert names == [
        "demo small_cnn+lstm",
        "demo small_cnn+lstm, train.epochs=3",
        "demo small_cnn+mean",
        "demo small_cnn+lstm #2",
    ]
    assert mlflow.get_run(run_id).data.tags["dvc_exp_name"] == "try-0"
    other = override(params, ["dataset.name=folder", "dataset.path=/clips/grey", "train.epochs=3"])
    with runs.training_run(other, params.split, index, "abc") as run_id:
        assert mlflow.get_run(run_id).info.run_name == "grey small_cnn+lstm"


def test_a_failed_run_is_marked_as_failed(project: Path, params: Params, index: pd.DataFrame) -> None:
    with pytest.raises(KeyError), runs.training_run(params, params.split, index, "abc") as run_id:
        raise KeyError
    assert mlflow.get_run(run_id).info.status == "FAILED"


def test_a_missing_run_is_an_error_that_says_what_to_do(project: Path) -> None:
    with pytest.raises(ModelError, match="dvc repro --force train"), runs.reopened_run("0" * 32):
        pass


def test_a_run_that_was_deleted_on_mlflow_s_page_is_restored(
    project: Path, params: Params, index: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = tmp_path / "run"
    with runs.training_run(params, params.split, index, "abc", kept) as run_id:
        pass
    mlflow.delete_run(run_id)
    with runs.training_run(params, params.split, index, "abc", kept) as again:
        assert again == run_id
    mlflow.delete_run(run_id)
    with runs.reopened_run(run_id):
        runs.log_metrics({"accuracy": 0.5})
    assert mlflow.get_run(run_id).data.metrics == {"accuracy": 0.5}
    assert caplog.text.count("was deleted; it is restored") == 2


def test_a_commit_stands_for_the_code_only_if_the_code_is_unchanged(project: Path) -> None:
    def git(*command: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        return subprocess.run(["git", *identity, *command], capture_output=True, text=True, check=True).stdout.strip()

    code = project / "src" / "actreel" / "clips.py"
    code.parent.mkdir(parents=True, exist_ok=True)
    code.write_text("T = 20\n", encoding="utf-8")
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "start")
    commit = git("rev-parse", "HEAD")
    (project / "params.yaml").write_text("recorded with the run\n", encoding="utf-8")
    assert runs.git_commit() == commit
    code.write_text("T = 16\n", encoding="utf-8")
    assert runs.git_commit() == f"{commit}-dirty"
    assert runs.short_commit(runs.git_commit()) == f"{commit[:12]}-dirty"
    git("checkout", "--quiet", "--", "src")
    (code.parent / "new.py").write_text("", encoding="utf-8")
    assert runs.git_commit() == f"{commit}-dirty"


def test_a_continued_run_keeps_the_commit_that_it_started_with(
    project: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = project / "run"
    for commit in ("first", "second"):
        monkeypatch.setattr(runs, "git_commit", lambda commit=commit: commit)
        with runs.parent_run(params, "folds", "logo", leaky=False, kept=kept) as run_id:
            pass
    assert mlflow.get_run(run_id).data.tags["git_commit"] == "first"


def test_without_git_the_commit_is_unknown(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs.git_commit() == "unknown"
    monkeypatch.setitem(os.environ, "PATH", "")
    assert runs.git_commit() == "unknown"
