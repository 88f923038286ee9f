"""Real DVC repositories that a killed run has left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from actreel.base.places import DVC_RUNNING, PACKAGE_WARNINGS
from actreel.config.commands import learn
from actreel.errors import ActreelError
from pipelines import repro
from pipelines.repro import run_pipeline
from tests.conftest import ROOT
from tests.warm_python import cold

STAGES = "stages:\n" + "".join(
    f"  {name}: {{cmd: echo made {name} && echo {name} > {name}, deps: [{dep}], outs: [{name}]}}\n"
    for name, dep in (("one", "source"), ("two", "one"))
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_commands: None) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setattr(repro, "closing_line", lambda: "the end")
    (tmp_path / "source").write_text("a", encoding="utf-8")
    (tmp_path / PACKAGE_WARNINGS).parent.mkdir()
    kept = [{"stage": "package", "text": "float32 is packaged"}]
    (tmp_path / PACKAGE_WARNINGS).write_text(json.dumps(kept), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    return tmp_path


def test_a_lock_file_that_a_killed_run_left_is_made_again(
    repository: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run_pipeline("make repro")
    assert "made two" in capfd.readouterr().out
    whole = (repository / "dvc.lock").read_text(encoding="utf-8")
    assert caplog.messages == ["(from the stage package) float32 is packaged"], "also where DVC skips that stage"
    (repository / "dvc.lock").write_text(whole[: whole.index("two:") + 12], encoding="utf-8")
    (repository / ".dvc/tmp/rwlock").write_text('{"one": ', encoding="utf-8")
    run_pipeline("make repro")
    assert "dvc.lock was left half-written" in caplog.text
    assert (repository / "dvc.lock").read_text(encoding="utf-8") == whole
    assert "made one" not in capfd.readouterr().out, "finished stages are found in DVC's cache"


def test_a_failed_stage_ends_in_the_command_that_goes_on(repository: Path) -> None:
    (repository / "source").unlink()
    with pytest.raises(ActreelError, match=r"Go on with: make learn FROM='/my clips'"):
        run_pipeline(learn("folder", "/my clips"))


def test_a_full_disk_under_dvc_s_cache_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "dvc.yaml").write_text(STAGES.replace("echo made two", "false"), encoding="utf-8")
    cache = (repository / ".dvc/cache/files/md5").resolve()
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=2**20))
    with pytest.raises(ActreelError, match=rf"full: 1 MB are free at '{cache}'\. Free .* Go on with: make repro$"):
        run_pipeline("make repro")
    assert asked == [cache]


def test_a_second_run_names_the_process_that_runs_the_stage(repository: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as other:
        entry = {"one": {"pid": other.pid, "cmd": "dvc repro"}}
        (repository / ".dvc/tmp/rwlock").write_text(json.dumps({"write": entry}), encoding="utf-8")
        with pytest.raises(ActreelError, match=rf"Another run works.*process {other.pid} .*kill {other.pid}.*make x"):
            run_pipeline("make x")
        assert not (repository / "one").exists()
        other.communicate(b"\n")
    run_pipeline("make repro")  # its holder has died
    assert (repository / "two").exists()


def test_a_second_run_names_the_process_that_holds_dvc_s_lock(repository: Path) -> None:
    code = "from dvc.repo import Repo\nwith Repo() as repo, repo.lock:\n    print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], env=cold(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ActreelError, match=rf"Another run works in this project: process {other.pid} "):
            run_pipeline("make repro")
        other.communicate(b"\n")
    run_pipeline("make repro")


def test_a_second_run_names_a_stage_that_works_on_after_its_dvc_was_killed(repository: Path) -> None:
    (repository / "pipelines").mkdir()
    (repository / "pipelines" / "__init__.py").touch()  # or it loses to a package of that name on PYTHONPATH
    (repository / "pipelines" / "one.py").write_text("print(flush=True); input()", encoding="utf-8")
    command = [sys.executable, "-m", "pipelines.one"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stage:
        assert stage.stdout is not None
        stage.stdout.readline()
        with pytest.raises(ActreelError, match=rf"stage one of a run that .*kill {stage.pid}\. Then: make x"):
            run_pipeline("make x")
        assert not (repository / "one").exists()
        stage.communicate(b"\n")
    run_pipeline("make x")
    assert (repository / "two").exists()


def test_plain_dvc_repro_beside_another_run_says_so_in_its_first_stage(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = f"{sys.executable} -m pipelines.source"
    (repository / "dvc.yaml").write_text(f"stages: {{source: {{cmd: {source}, outs: [artifacts/source.json]}}}}")
    for name in ("params.yaml", "pipelines", "src"):
        (repository / name).symlink_to(ROOT / name)
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as other:
        held = {"write": {"artifacts/model": {"pid": other.pid, "cmd": "dvc repro"}}}
        (repository / DVC_RUNNING).write_text(json.dumps(held), encoding="utf-8")
        assert subprocess.run([sys.executable, "-m", "dvc", "repro"]).returncode
        assert f"error: Another run works in this project: process {other.pid} " in capfd.readouterr().err
        other.communicate(b"\n")
    assert not subprocess.run([sys.executable, "-m", "dvc", "repro"]).returncode, "its own DVC is no other"
