"""Folds and leakage: probes of a tiny encoder, and a head that is trained where its epochs are looked at."""

import json
import logging
from pathlib import Path

import mlflow
import pytest

from actreel.cli import main
from actreel.config import Params, load_params, override
from actreel.errors import ActreelError, ConfigError
from actreel.experiments import crossval
from actreel.experiments.crossval import cross_validate
from actreel.experiments.leakage import measure_leakage
from actreel.models import PRETRAINED
from tests.conftest import ROOT, write_fading_dataset
from tests.models.networks import tiny_encoder

SMALL = ["clip.num_frames=4", "clip.height=16", "clip.width=16", "dataset.name=folder"]
PROBE = ["model.encoder=efficientnet_lite0", "model.weights=imagenet", "model.head=mean_probe"]
NETWORK = [*PROBE[:2], "model.head=mean", "model.units=4", "train.epochs=2", "train.learning_rate=0.01"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setitem(PRETRAINED, "efficientnet_lite0", tiny_encoder)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


@pytest.fixture
def params(project: Path) -> Params:
    clips = write_fading_dataset(project / "clips", groups=4, clips=1)
    return override(load_params(), [*SMALL, *PROBE, f"dataset.path={clips}"])


def test_every_clip_is_tested_once_in_runs_below_one_parent(params: Params) -> None:
    result = cross_validate(params, None)
    assert (result["protocol"], result["leaky"], result["num_clips"]) == ("logo", False, 8)
    assert [fold["groups"] for fold in result["folds"]] == [[f"g{number:02d}"] for number in range(1, 5)]
    mean = sum(fold["accuracy"] for fold in result["folds"]) / 4
    assert result["mean_accuracy"] == pytest.approx(mean)
    runs = mlflow.search_runs(experiment_names=["actreel"])
    children = runs[runs["tags.mlflow.parentRunId"] == result["run_id"]]
    assert len(children) == 4
    assert set(children["status"]) == {"FINISHED"}
    parent = mlflow.get_run(result["run_id"])
    assert parent.data.metrics["mean_accuracy"] == pytest.approx(mean)
    assert parent.data.tags["protocol"] == "logo"


def test_it_goes_on_after_the_fold_it_was_at(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(Exception):
        pass

    trained = []

    def dies_in_the_third(*arguments: object, **named: object) -> crossval.Score:
        trained.append(1)
        if len(trained) == 3:
            raise KilledError
        return fit_and_score(*arguments, **named)  # type: ignore[arg-type]

    fit_and_score = crossval.fit_and_score
    monkeypatch.setattr(crossval, "fit_and_score", dies_in_the_third)
    with pytest.raises(KilledError):
        cross_validate(params, None)
    result = cross_validate(params, None)
    assert len(trained) == 3 + 2
    assert len(result["folds"]) == 4
    runs = mlflow.search_runs(experiment_names=["actreel"])
    assert len(runs) == 5  # one parent and four folds, none twice
    assert set(runs["status"]) == {"FINISHED"}
    assert cross_validate(params, None) == result
    assert len(trained) == 5


def test_a_random_split_is_tagged_and_shuffles_the_same_sizes(params: Params) -> None:
    result = cross_validate(override(params, ["split.protocol=random"]), 2)
    assert (result["protocol"], result["leaky"]) == ("random_2fold", True)
    assert sum(fold["num_test_clips"] for fold in result["folds"]) == 8
    assert mlflow.get_run(result["run_id"]).data.tags["leaky"] == "true"
    with pytest.raises(ConfigError, match="needs a number of folds"):
        cross_validate(override(params, ["split.protocol=random"]), None)


def test_leakage_compares_equal_sizes(params: Params) -> None:
    result = measure_leakage(params, repeats=2)
    assert result["difference"] == pytest.approx(result["random_accuracy"] - result["group_accuracy"])
    assert [set(pair) for pair in result["repeats"]] == [{"group_holdout", "random"}] * 2


def test_the_command_prints_json_alone_on_stdout(
    params: Params, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = [f"--set={setting}" for setting in (*SMALL, *NETWORK, f"dataset.path={params.dataset.path}")]
    main(["crossval", "--folds", "2", "--json", *settings])
    result = json.loads(capsys.readouterr().out)
    assert result["protocol"] == "group_2fold"
    assert {"accuracy", "groups", "num_test_clips"} <= result["folds"][0].keys()
    assert "Epoch 1/2" in caplog.text
    caplog.clear()
    main(["crossval", "--folds", "2", "--fresh", *settings])
    assert "Epoch 1/2" in caplog.text
    printed = capsys.readouterr().out
    assert f"mean accuracy {result['mean_accuracy']:.3f} over the folds, standard deviation " in printed
    assert 0 <= result["pooled_accuracy_low"] < result["pooled_accuracy"] <= result["pooled_accuracy_high"] <= 1
    assert f"interval for new groups {result['pooled_accuracy_low']:.3f} to " in printed
    assert "8 clips of 4 groups" in printed
    assert "wide since there are few groups" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "1"], "folds must be 'logo' or a number of at least 2. Received: '1'"),
        (["--folds", "2", "--set", "train.epoch=3"], "Received: 'train.epoch'. Did you mean 'epochs'?"),
        (["--folds", "2", "--set", "epochs"], "must be SECTION.KEY=VALUE"),
        (["--folds", "2", "--set", "dataset.name=folder"], "needs dataset.path"),
    ],
)
def test_a_wrong_call_is_a_message(
    project: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["crossval", *arguments])
    assert message in f"{exit_.value.code}{capsys.readouterr().err}"


def test_more_folds_than_groups_is_an_error(params: Params) -> None:
    with pytest.raises(ActreelError, match="Received: 4 groups for 9 folds"):
        cross_validate(params, 9)


def test_folds_are_trained_on_one_machine(params: Params) -> None:
    with pytest.raises(ConfigError, match=r"on one machine\. Received: train\.strategy 'multi_worker'"):
        cross_validate(override(params, ["train.strategy=multi_worker"]), None)
