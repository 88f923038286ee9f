"""What this project uses of DVC's private parts; a failure here after an upgrade names what DVC has changed."""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from actreel.dataset.fetch.dvc_internals import Changes, edit_params, lock_is_whole, pipeline_changes, record_import
from actreel.errors import ActreelError
from tests.conftest import ROOT
from tests.loopback import Loopback, serving

CONTENT = b"an archive"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_commands: None) -> Path:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(tmp_path)
    dvc("init", "--no-scm", "--quiet")
    return tmp_path


def dvc(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_import(folder: Path, server: Loopback) -> Path:
    described = {
        "frozen": True,
        "deps": [{"path": server.url}],
        "outs": [{"path": "data.rar", "size": len(CONTENT), "cache": False}],
    }
    (folder / "data.dvc").write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    return folder / "data.dvc"


def test_dvc_takes_a_recorded_import_as_done(repository: Path) -> None:
    """If this fails: `Repo.stage.load_file`, `Output.save`, `Stage.compute_md5` or `Stage.dump` changed."""
    with serving(CONTENT) as server:
        (repository / "data.rar").write_bytes(CONTENT)
        file = write_import(repository, server)
        record_import(Path("data.dvc"))
        described = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert described["outs"][0]["md5"] == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
        assert "up to date" in dvc("repro", "data.dvc")
        assert not server.requests


def test_the_record_is_what_dvc_writes_after_its_own_download(repository: Path) -> None:
    """If this fails: DVC writes something else into .dvc files than `record_import` does."""
    with serving(CONTENT) as server:
        file = write_import(repository, server)
        record = file.read_text(encoding="utf-8")
        dvc("repro", "data.dvc")
        by_dvc = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(record, encoding="utf-8")
        record_import(Path("data.dvc"))
        ours = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert ours["outs"] == by_dvc["outs"]


def test_editing_params_keeps_comments(tmp_path: Path) -> None:
    """If this fails: `dvc.utils.serialize.modify_yaml` changed."""
    file = tmp_path / "params.yaml"
    file.write_text("# all\ndataset:\n  name: demo   # demo | ucf50\n  seed: 0\n", encoding="utf-8")
    edit_params(file, {"dataset": {"name": "ucf50"}})
    assert file.read_text(encoding="utf-8") == "# all\ndataset:\n  name: ucf50  # demo | ucf50\n  seed: 0\n"


@pytest.mark.parametrize("text", ["", "schema: '2.0'\nstages:\n  one:\n    deps: []\n", "schema: '2", "- a"])
def test_a_cut_off_lock_file_is_not_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.lock").write_text(text, encoding="utf-8")
    assert not lock_is_whole(tmp_path / "dvc.lock")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  one:\n    cmd: a\n", encoding="utf-8")
    assert lock_is_whole(tmp_path / "dvc.lock")


def test_dvc_has_an_upper_bound() -> None:
    (dvc_,) = [line for line in map(Requirement, requires("actreel") or ()) if line.name == "dvc"]
    assert not dvc_.specifier.contains("3.68.0")


def test_an_experiment_leaves_data_dvc_as_it_is_in_git(repository: Path) -> None:
    """If this fails: DVC writes .dvc files in another form. Commit `data.dvc` as `dvc exp run` leaves it."""
    shutil.rmtree(repository / ".dvc")
    shutil.copy(ROOT / "data.dvc", repository)
    (repository / "dvc.yaml").write_text("stages: {one: {cmd: cp params.yaml one, params: [a], outs: [one]}}\n")
    (repository / "params.yaml").write_text("a: 1\n")
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run([*git, "init", "--quiet"], check=True)
    dvc("init", "--quiet")
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "start"], check=True)
    dvc("exp", "run", "--quiet", "-S", "a=2")
    changed = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    assert "params.yaml" in changed
    assert "data.dvc" not in changed


def test_what_has_changed_is_said_as_dvc_status_says_it(repository: Path) -> None:
    """If this fails: what `Repo.status` returns, or `Repo.config`, changed."""
    stages = {
        "one": {"cmd": "cp source one", "deps": ["source"], "params": ["a"], "outs": ["one"]},
        "two": {"cmd": "cp one two", "deps": ["one"], "outs": ["two"]},
        "last": {"cmd": "true", "deps": ["two"], "always_changed": True},
    }
    (repository / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False), encoding="utf-8")
    (repository / "params.yaml").write_text("a: 1\n", encoding="utf-8")
    (repository / "source").write_text("x", encoding="utf-8")
    (repository / "unused.dvc").write_text("outs: [{path: unused, cache: false}]\n", encoding="utf-8")
    assert list(pipeline_changes().stages) == ["one", "two", "last"]
    assert not pipeline_changes().only_missing
    dvc("repro")
    assert pipeline_changes() == Changes({}, False, False), "neither an import nor a stage that DVC always runs counts"
    (repository / "two").unlink()
    dvc("remote", "add", "--default", "team", str(repository / "remote"))
    assert pipeline_changes() == Changes({"two": ("two is missing",), "last": ("two is missing",)}, True, True)
    (repository / "params.yaml").write_text("a: 2\n", encoding="utf-8")
    (repository / "source").write_text("y", encoding="utf-8")
    changes = pipeline_changes()
    assert changes.stages["one"] == ("source", "a in params.yaml")
    assert not changes.only_missing
    (repository / "dvc.yaml").write_text("stages: [", encoding="utf-8")
    with pytest.raises(ActreelError, match=r"DVC cannot tell what has changed.*See: dvc status"):
        pipeline_changes()
