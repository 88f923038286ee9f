"""Sweeps on real training, killed and continued."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from actreel.base.places import CROSSVAL, SWEEPS
from actreel.cli import main
from actreel.config import Params, load_params, override
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.experiments import nested
from actreel.experiments.heldout import Score, prepare
from actreel.experiments.space import default_space, read_space
from actreel.experiments.tuning import tune
from actreel.models import PRETRAINED
from tests.conftest import ROOT, write_fading_dataset, write_mlflow_database
from tests.models.networks import tiny_encoder
from tests.warm_python import warm_python

# A head that is trained on features of a tiny encoder.
SMALL = [
    "clip.num_frames=4", "clip.height=16", "clip.width=16", "train.epochs=2", "dataset.name=folder", "model.head=mean",
    "model.encoder=efficientnet_lite0", "model.weights=imagenet",
]  # fmt: skip
SPACE = """
model.units: {choices: [2, 4, 8]}
model.dropout: {low: 0.0, high: 0.5}
train.learning_rate: {low: 1e-4, high: 1e-2, log: true}
train.batch_size: {low: 2, high: 8}
"""


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folder = tmp_path_factory.mktemp("tuning")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        patch.setitem(PRETRAINED, "efficientnet_lite0", tiny_encoder)
        (folder / "dvc.yaml").touch()
        write_mlflow_database(folder / "mlflow.db")
        clips = write_fading_dataset(folder / "clips", groups=6, clips=1)
        (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
        yield ["tune", "--space", "space.yaml", *(f"--set={each}" for each in (*SMALL, f"dataset.path={clips}"))]


@pytest.fixture(scope="module")
def params(arguments: list[str]) -> Params:
    return override(load_params(), [each.removeprefix("--set=") for each in arguments if each.startswith("--set=")])


KILLED_IN_ITS_SECOND_TRIAL = """
import os, signal
from actreel.cli import main
from actreel.experiments import nested
from actreel.models import PRETRAINED
from tests.models.networks import tiny_encoder

PRETRAINED["efficientnet_lite0"] = tiny_encoder
fit_and_score, trials = nested.fit_and_score, []

def killed_in_the_second(*arguments, **named):
    trials.append(arguments)
    if len(trials) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return fit_and_score(*arguments, **named)

nested.fit_and_score = killed_in_the_second
main()
"""


def states() -> list[str]:
    """The states of the trials of the only sweep."""
    (file,) = SWEEPS.glob("*/study.db")
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as study:
        return [state for (state,) in study.execute("select state from trials order by number")]


def test_a_killed_sweep_continues_with_the_same_trials(
    arguments: list[str], params: Params, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    space = read_space(Path("space.yaml"), params)
    killed = subprocess.run(
        ["python", "-c", KILLED_IN_ITS_SECOND_TRIAL, *arguments, "--trials", "100"],
        env=warm_python().added_to(os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}),
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert states() == ["COMPLETE", "RUNNING"]

    main([*arguments, "--trials", "2", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["finished"] == len(result["trials"]) == 2
    assert states() == ["COMPLETE", "FAIL", "COMPLETE"]  # the second ran when the process died
    runs = mlflow.search_runs(experiment_names=["actreel"])
    assert (runs["tags.mlflow.parentRunId"] == result["run_id"]).sum() == 2
    assert set(runs["status"]) == {"FINISHED"}

    undisturbed = tune(params, 2, space, sweeps=tmp_path)
    assert undisturbed["trials"] == result["trials"]
    best = max(result["trials"], key=lambda trial: (trial["balanced_accuracy"], -trial["log_loss"]))
    assert result["best"] == best["settings"]

    main([*arguments, "--trials", "1"])  # more are finished already, so none is added
    *_, command = capsys.readouterr().out.splitlines()
    assert states().count("COMPLETE") == 2
    words = shlex.split(command)
    assert words[:4] == ["dvc", "exp", "run", "-S"]
    again = override(load_params(), [word for word in words[3:] if word != "-S"])
    assert again.train.learning_rate == best["settings"]["train.learning_rate"]
    assert again.dataset == params.dataset


def test_missing_weights_are_an_error_before_the_first_trial(params: Params, tmp_path: Path) -> None:
    missing = override(params, ["model.encoder=efficientnet_v2_b0", "model.weights=nowhere.weights.h5"])
    space = {"model.units": default_space(params)["model.units"]}
    with pytest.raises(ModelError, match=r"model\.weights must be .* Received: 'nowhere\.weights\.h5'"):
        tune(missing, 1, space, sweeps=tmp_path)
    assert not list(tmp_path.iterdir()), "no study was begun"


def test_no_trial_can_read_a_test_clip(params: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    index, _ = prepare(params, CROSSVAL)
    tested = set(index.loc[assign_splits(index, params.split) == "test", "clip"])
    seen: list[tuple[pd.DataFrame, Store]] = []
    fit_and_score = nested.fit_and_score

    def watched(params: Params, rows: pd.DataFrame, inputs: Store, **named: object) -> Score:
        seen.append((rows, inputs))
        return fit_and_score(params, rows, inputs, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(nested, "fit_and_score", watched)
    space = {"model.units": default_space(params)["model.units"]}
    result = tune(params, 1, space, "nsga2", folds=2, sweeps=tmp_path)
    assert len(seen) == 2  # inner folds of one trial
    assert result["front"] == [1]
    assert result["parameters"] > 0
    assert tested
    for rows, inputs in seen:
        assert not tested & set(rows["clip"])
        assert not tested & set(inputs.clips)
        for clip in tested:
            with pytest.raises(KeyError):
                inputs.take([clip])
