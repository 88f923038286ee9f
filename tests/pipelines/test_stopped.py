"""A pipeline that is killed, or that is given what it cannot use."""

import os
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actreel.dataset.store import StoredClips
from actreel.inference.classifier import ActionClassifier
from tests.conftest import patience, write_fading_dataset
from tests.pipelines.conftest import LONGEST_S, SMALL, Project, make_project, stages_run
from tests.warm_python import cold

EPOCHS = 4
SHORT = {**SMALL, "train": {**SMALL["train"], "epochs": EPOCHS}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, fading_dataset: Path) -> Project:
    project = make_project(tmp_path_factory.mktemp("killed"))
    project.set(dataset={"name": "folder", "path": str(fading_dataset)}, **SHORT)
    return project


# Python imports a file of this name at its start. The stage itself kills DVC, itself and all their children: whoever
# watched what it prints would be late by as much as the machine is busy.
KILLS = """
import logging, os, pathlib, signal, sys

def kill_all():
    os.killpg(0, signal.SIGKILL)

if "pipelines.{stage}" not in sys.orig_argv:
    pass
elif "{stage}" == "extract":
    replace = pathlib.Path.replace

    def once(self, target):
        replace(self, target)
        if str(target).endswith(".npy"):
            kill_all()

    pathlib.Path.replace = once

else:
    make = logging.getLogRecordFactory()

    def watched(*arguments, **named):
        record = make(*arguments, **named)
        if record.getMessage().startswith("Epoch 3/"):
            kill_all()
        return record

    logging.setLogRecordFactory(watched)
"""


TENSORFLOW_SAYS = r"^WARNING: All log messages before.*|^[IWEF]\d{4} .*|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] .*"


def kill_in(stage: str, project: Project, folder: Path) -> str:
    """Runs DVC to a stage that kills it, extract with its first file, train in its third epoch; gives the output."""
    (folder / "sitecustomize.py").write_text(KILLS.format(stage=stage), encoding="utf-8")
    path = os.pathsep.join([str(folder), project.env["PYTHONPATH"]])
    process = Project(project.root, {**cold(project.env), "PYTHONPATH": path}).start("dvc", "repro", stage)
    output, _ = process.communicate(timeout=patience(LONGEST_S))
    assert process.returncode == -signal.SIGKILL, output
    return str(output)


def test_a_killed_extract_and_a_killed_train_are_made_good(project: Project, tmp_path: Path) -> None:
    project.repro("validate")
    assert stages_run(kill_in("extract", project, tmp_path)) == ["source", "extract"]
    assert not (project.root / "artifacts/clips").exists()
    assert stages_run(project.repro("extract")) == ["source", "extract"]
    output = kill_in("train", project, tmp_path)
    assert stages_run(output) == ["source", "encode", "train"]
    assert not re.findall(TENSORFLOW_SAYS, output, re.MULTILINE), "TensorFlow's start-up messages"
    assert len(StoredClips(project.root / "artifacts/clips")) == 32
    assert not (project.root / "artifacts/model/classifier.json").exists()
    output = project.repro("train")
    assert stages_run(output) == ["source", "train"]
    epochs = [int(number) for number in re.findall(rf"Epoch (\d+)/{EPOCHS}", output)]
    # The model's training continues, also in MLflow's run: an epoch's state is written before it is logged. The
    # baseline's comes after it.
    assert epochs == [*range(4, EPOCHS + 1), *range(1, EPOCHS + 1)]
    with closing(sqlite3.connect(project.root / "mlflow.db")) as mlflow_store:
        assert mlflow_store.execute("select status from runs").fetchall() == [("FINISHED",)]
        assert mlflow_store.execute("select count(*) from inputs where source_type = 'DATASET'").fetchall() == [(3,)]
    assert len(list((project.root / "artifacts/training/epochs").iterdir())) == EPOCHS
    for shard in (project.root / "artifacts/clips").glob("*.npy"):
        assert shard.samefile(project.root / "artifacts/kept/clips" / shard.name), "a third copy, beside DVC's"
    ActionClassifier.load(project.root / "artifacts/model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_fading_dataset(tmp_path / "clips", groups=4, clips=1)


def test_a_corrupt_clip_stops_the_pipeline_and_is_named(project: Project, folder: Path) -> None:
    (folder / "Darken" / "v_Darken_g03_c09.avi").write_bytes(b"RIFF but no more")
    project.set(dataset={"path": str(folder)})
    output = project.repro("extract", fails=True)
    assert "**FAILED**: every clip can be read" in output
    assert "Darken/v_Darken_g03_c09.avi" in output
    assert "error: all" in output
    assert "Traceback" not in output


def test_an_action_in_one_group_is_a_message(project: Project, folder: Path) -> None:
    for group in (2, 3, 4):
        (folder / "Darken" / f"v_Darken_g{group:02d}_c01.avi").unlink()
    project.set(dataset={"path": str(folder)})
    output = project.repro("extract", fails=True)
    assert "too few groups: 'Darken' in 1" in output
    assert "Traceback" not in output


def test_back_at_an_earlier_dataset_only_its_videos_are_linked_again(
    project: Project, folder: Path, fading_dataset: Path
) -> None:
    # The mean has no baseline to train.
    project.set(dataset={"path": str(folder)}, train={"epochs": 1}, model={"head": "mean"})
    assert stages_run(project.repro("train"))[-4:] == ["validate", "extract", "encode", "train"]
    project.set(dataset={"path": str(fading_dataset)}, train=SHORT["train"], model={"head": "lstm"})
    output = project.repro("train")
    assert stages_run(output) == ["source", "ingest"]
    assert "Stage 'train' is cached" in output
    assert len(StoredClips(project.root / "artifacts/clips")) == 32
    assert len(list((project.root / "artifacts/training/epochs").iterdir())) == EPOCHS


def test_an_unknown_parameter_is_a_message(project: Project, fading_dataset: Path) -> None:
    project.set(dataset={"path": str(fading_dataset)}, train={"epoch": 3})
    output = project.repro("train", fails=True)
    assert "Received: 'train.epoch'. Did you mean 'epochs'?" in output
    assert "Traceback" not in output
