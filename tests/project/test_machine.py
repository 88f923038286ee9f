import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from actreel.project import machine
from tests.conftest import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", str(tmp_path / "feedback"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    for name in ("params.yaml", "dvc.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, name)
    return tmp_path


def test_python_must_be_one_that_the_project_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.python().ok
    for own in ((3, 10, 2), (3, 14, 0)):
        monkeypatch.setattr("sys.version_info", own)
        found = machine.python()
        assert found.needed
        assert ">=3.11" in found.said
        assert found.fix == "rm -rf .venv && make PYTHON=python3.12 setup"


def test_an_environment_that_came_along_with_a_copy_of_the_project_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").touch()
    Path("src/actreel").mkdir(parents=True)
    found = machine.python()
    assert found.needed
    assert f"that of another folder, '{ROOT / 'src/actreel'}'" in found.said
    monkeypatch.chdir(ROOT)
    assert machine.python().ok


def test_packages_against_the_extras_and_the_lock(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine.packages()
    assert found.ok, found
    assert "extras: pipeline, serve, youtube, dev; all as in the lock" in found.said
    real = machine._version_of
    monkeypatch.setattr(machine, "_version_of", lambda name: "0.9.2" if name == "bentoml" else real(name))
    found = machine.packages()
    assert (found.ok, found.needed) == (False, False)
    assert "not as in the lock: bentoml 0.9.2 (locked: 1.4" in found.said
    monkeypatch.setattr(machine, "_version_of", lambda name: None if name == "pyarrow" else real(name))
    found = machine.packages()
    assert found.needed
    assert found.said.endswith("not installed: pyarrow")
    marks = ("pytest", "bentoml")
    monkeypatch.setattr(machine, "_version_of", lambda name: None if name in marks else real(name))
    found = machine.packages()
    assert (found.needed, found.said) == (True, "extras: pipeline, youtube; a project needs serve")
    (project / "dvc.yaml").unlink()
    assert machine.packages().ok, "elsewhere, no extra is needed"


def test_free_space_is_held_against_what_the_dataset_needs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine.disk()
    assert found.ok
    assert "the dataset needs about 0.7 GB" in found.said  # 480 clips of 20 frames of 64x64 pixels, and the rest
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
    found = machine.disk()
    assert (found.needed, found.fix) == (True, "dvc gc --workspace")
    machine.CLIPS.mkdir(parents=True)
    assert not machine.disk().needed, "the clips are stored already"


def test_a_folder_that_cannot_be_written_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.folders().ok
    real = machine.tempfile.TemporaryFile

    def refusing(dir: Path) -> object:  # noqa: A002
        if dir == project / "reports":
            raise OSError(30, "Read-only file system")
        return real(dir=dir)

    (project / "reports").mkdir()
    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refusing)
    found = machine.folders()
    assert found.needed
    assert found.said == f"cannot be written to: '{project / 'reports'}' (Read-only file system)"
    assert found.fix == f"sudo chown -R \"$(id -un)\" '{project / 'reports'}'"


def test_a_port_in_use_is_no_fault_and_the_other_one_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(machine, "PORTS", {port: "make serve"})
        found = machine.ports()
    assert (found.ok, found.needed) == (False, False)
    assert (found.said, found.fix) == (f"{port} is in use", f"make serve PORT={port + 1}")


def test_little_memory_and_a_missing_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MIN_MEMORY_GB", 10**6)
    assert machine.memory().needed
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = machine.ffmpeg()
    assert (found.ok, found.needed, found.fix) == (False, False, "sudo apt-get install ffmpeg")
