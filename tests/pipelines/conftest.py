"""A copy of the repository that tests may run the pipeline in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.conftest import ROOT, fading_frames, patience, write_mlflow_database, write_video_file
from tests.warm_python import warm_python

SMALL = {
    "clip": {"num_frames": 8, "height": 32, "width": 32},
    "train": {"epochs": 10, "learning_rate": 0.02, "patience": 10, "batch_size": 8},
    "model": {"units": 16, "dropout": 0.0},
}
LONGEST_S = 120
"""More than any command takes on an idle machine."""


@dataclass(frozen=True)
class Project:
    """A DVC repository of its own, with MLflow and BentoML stores of its own."""

    root: Path
    env: Mapping[str, str]

    def set(self, **sections: Mapping[str, Any]) -> None:
        """Changes params.yaml."""
        path = self.root / "params.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        for section, changes in sections.items():
            values[section].update(changes)
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts a command in a process group of its own."""
        return subprocess.Popen(
            command, cwd=self.root, env=dict(self.env), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *command: str, fails: bool = False) -> str:
        """Runs a command to its end, and gives all that it printed."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=patience(LONGEST_S))
        assert (process.returncode != 0) == fails, output
        return output

    def answer(self, *command: str) -> str:
        """Runs a command to its end, and gives what it printed on stdout."""
        done = subprocess.run(
            command, cwd=self.root, env=dict(self.env), text=True, capture_output=True, timeout=patience(LONGEST_S)
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def repro(self, *arguments: str, fails: bool = False) -> str:
        """Runs `dvc repro`."""
        return self.run("dvc", "repro", *arguments, fails=fails)


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` ran, in order."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage ")]


def make_project(root: Path) -> Project:
    """Copies what git tracks, or would, but for results of runs in this checkout, and makes a first commit.

    MLflow's database is there already, and empty.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "reports/", "dvc.lock")):
            copy_with_compiled(ROOT / name, root / name)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_", "GIT_"))}
    env |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}",
        "PYTHONPATH": f"{root / 'src'}",
        "BENTOML_HOME": str(root / "bentoml"),
        "ACTREEL_STATISTICS_DIR": str(root.with_name(f"{root.name}-statistics")),
        "COLUMNS": "100",
    }
    write_mlflow_database(root / "mlflow.db")
    project = Project(root, warm_python().added_to(env))
    project.run("git", "init", "--quiet")
    project.run("git", "config", "user.name", "test")
    project.run("git", "config", "user.email", "test@example.org")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "start")
    return project


def copy_with_compiled(file: Path, target: Path) -> None:
    """Copies a file, and what Python has compiled of it, which counts for a copy of the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, target)
    if file.suffix == ".py" and (compiled := Path(cache_from_source(file))).is_file():
        (target.parent / compiled.parent.name).mkdir(exist_ok=True)
        shutil.copy2(compiled, cache_from_source(target))


def learning(clips: Path) -> tuple[str, ...]:
    """The command that `make learn` runs, with the small recipe."""
    return "python", "-m", "pipelines.learn", "--recipe", "small", "--", str(clips)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, fading_dataset: Path) -> tuple[Project, str]:
    """A project that learned from the fading clips with a small recipe of its own, and what that printed."""
    project = make_project(tmp_path_factory.mktemp("project"))
    clips = shutil.copytree(fading_dataset, tmp_path_factory.mktemp("with_unknown") / "fading")
    for group in range(1, 9):  # as long as the others, but neither brighter nor darker in the end
        frames = [
            *fading_frames(np.random.default_rng(group), True, 8),
            *fading_frames(np.random.default_rng(group), False, 8),
        ]
        write_video_file(clips / "_unknown" / f"v_Unknown_g{group:02d}_c01.avi", frames)
    (clips / "Empty").mkdir()
    recipe = {"about": "Small.", "cost": "Little.", "results": "Known.", "settings": SMALL}
    (project.root / "pipelines/recipes/small.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    said = project.run(*learning(clips))
    shutil.copytree(project.root, as_trained(project), symlinks=True)
    return project, said


def as_trained(project: Project) -> Path:
    """A copy of the project `trained`, as it was before its tests changed it."""
    return project.root.with_name("as-trained")
