"""What make does before DVC starts; .ci/run runs the targets themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def run(folder: Path, *command: str, fails: bool = False) -> str:
    others = ("GIT_", "DVC_", "MAKE", "PYTHON")  # .ci/run names a PYTHON for its own targets
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}
    environment |= {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A project without `.git`, with one small stage."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "config.local"))
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "dvc.yaml").write_text("stages: {one: {cmd: echo 1 > one, outs: [one]}}\n", encoding="utf-8")
    (folder / ".venv").mkdir()
    (folder / ".venv" / ".installed").touch()
    return folder


def test_a_project_from_a_zip_runs_and_is_told_what_needs_git(unpacked: Path) -> None:
    assert "is not a git repository" in run(unpacked, "dvc", "repro", fails=True)
    said = run(unpacked, "make", "setup")
    assert "Only 'dvc exp run' needs one: git init && git add --all && git commit --message start" in said
    run(unpacked, "dvc", "repro")
    assert (unpacked / "one").read_text(encoding="utf-8") == "1\n"

    run(unpacked, "git", "init", "--quiet")
    assert "'dvc exp run' needs one: git add --all && git commit" in run(unpacked, "make", "setup")
    assert "no_scm" not in (unpacked / ".dvc" / "config.local").read_text(encoding="utf-8")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    run(unpacked, "git", "add", "--all")
    run(unpacked, "git", *identity, "commit", "--quiet", "--message", "start")
    assert "git" not in run(unpacked, "make", "--no-print-directory", "setup")
    run(unpacked, "dvc", "exp", "run")


def test_a_gpu_is_asked_for_once(unpacked: Path) -> None:
    def lock_of(*arguments: str) -> str | None:
        told = run(unpacked, "make", "--dry-run", "setup", *arguments)
        return next((line.split()[-1] for line in told.splitlines() if "pip sync" in line), None)

    for name in ("requirements.lock", "requirements-gpu.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, unpacked)
        os.utime(unpacked / name, (0, 0))
    assert lock_of() is None
    assert lock_of("GPU=1") == "requirements-gpu.lock"
    (unpacked / ".venv" / ".installed").rename(unpacked / ".venv" / ".installed-gpu")
    assert lock_of() is None
    assert lock_of("GPU=1") is None
    assert lock_of("GPU=") == "requirements.lock"


def test_a_project_that_was_moved_gets_an_environment_of_its_own(unpacked: Path) -> None:
    """What is installed in one names its folder: in a copy it would run the code of the project that was copied."""
    stamp = unpacked / ".venv" / ".installed"
    told = [stamp.write_text(f"{path}\n", encoding="utf-8") and run(unpacked, "make", "--dry-run", "setup")
            for path in (unpacked.resolve(), "/elsewhere/my project")]  # fmt: skip
    assert ["rm -rf .venv" in each for each in told] == [False, True]
    (unpacked / ".venv" / "pyvenv.cfg").write_text(f"executable = {sys.executable}\n", encoding="utf-8")
    assert f"{sys.executable} -m venv .venv" in run(unpacked, "make", "--dry-run", "setup")
    assert "mine -m venv .venv" in run(unpacked, "make", "--dry-run", "setup", "PYTHON=mine")


def test_a_repository_of_another_user_is_not_taken_for_an_empty_one(unpacked: Path) -> None:
    run(unpacked, "git", "init", "--quiet")
    said = run(unpacked, "env", "GIT_TEST_ASSUME_DIFFERENT_OWNER=1", "make", "setup")
    assert f"git config --global --add safe.directory '{unpacked.resolve()}'" in said
    assert "has no commit" not in said


def test_stages_run_the_code_beside_them(tmp_path: Path) -> None:
    """Of a copy, as `dvc exp run --temp` works in, and not of the folder that the environment was made for."""
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    where = "import pipelines, actreel; print(actreel.__file__)"
    done = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / "src" / "actreel" / "__init__.py"


def test_every_stage_has_help() -> None:
    for file in (ROOT / "pipelines").glob("[!_]*.py"):
        text = file.read_text(encoding="utf-8")
        if "__main__" in text:
            assert "exit_cleanly(main, __doc__)" in text or "parse_args(arguments)" in text, file.name


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--hlep", 2)])
def test_a_stage_that_is_asked_for_help_runs_nothing(argument: str, code: int, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipelines.ingest", argument]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == code
    assert (done.stdout + done.stderr).startswith("usage: python -m pipelines.ingest")
    assert list(tmp_path.iterdir()) == []


def test_modules_are_compiled_once_also_where_the_environment_forbids_it(unpacked: Path) -> None:
    asked = 'asked: ; @echo "${PYTHONDONTWRITEBYTECODE-not set}"'.replace("$", "$$")
    assert run(unpacked, "env", "PYTHONDONTWRITEBYTECODE=1", "make", "--eval", asked, "asked") == "not set\n"
