"""Replacing the served Bento; tests/pipelines/test_package.py does it to a real server under load."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actreel.errors import ModelError
from serving import release

SERVER = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); print(flush=True); sys.stdin.read()"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A relative home from which a Bento is served, by a process that only listens to signals."""
    monkeypatch.chdir(tmp_path)
    home = Path("served")
    bento("old")
    release._point(home, release._copy(Path("old"), home))
    command = [sys.executable, "-c", SERVER, str((home / release.CURRENT).absolute())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it is ready for signals
        (home / release.PID_FILE).write_text(str(server.pid), encoding="utf-8")
        yield home
        server.communicate()


def bento(name: str) -> Path:
    folder = Path(name)
    folder.mkdir()
    (folder / "bento.yaml").write_text(name, encoding="utf-8")
    return folder


@pytest.mark.parametrize("absolute", [False, True], ids=["Python 3.11", "Python 3.12 and later"])
def test_the_live_copy_stays_and_the_old_one_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tempfile.mkdtemp

    def mkdtemp(prefix: str, dir: Path) -> str:  # noqa: A002
        folder = Path(made(prefix=prefix, dir=dir))
        return str(folder.absolute() if absolute else Path(dir) / folder.name)

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    monkeypatch.setattr(release, "_try_out", lambda bento: None)
    release.reload(bento("new"), home)
    assert (home / release.CURRENT / "bento.yaml").read_text(encoding="utf-8") == "new"
    assert len(list(home.glob("bento-*"))) == 1
    assert "the old workers are draining" in capsys.readouterr().err


def test_a_bento_that_does_not_become_ready_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(bento: Path) -> None:
        raise ModelError("not ready")

    monkeypatch.setattr(release, "_try_out", fails)
    with pytest.raises(ModelError, match="not ready"):
        release.reload(bento("new"), home)
    assert (home / release.CURRENT / "bento.yaml").read_text(encoding="utf-8") == "old"
    assert len(list(home.glob("bento-*"))) == 1


def test_messages_say_which_command_helps(home: Path) -> None:
    with pytest.raises(ModelError, match=r"A server already runs from 'served'.*make reload"):
        release.serve(Path("old"), home, [])
    with pytest.raises(ModelError, match=r"There is no Bento in 'none'.*make repro"):
        release.reload(Path("none"), home)
    with pytest.raises(ModelError, match=r"No server runs from 'elsewhere'.*make serve"):
        release.reload(Path("old"), Path("elsewhere"))


def test_another_process_with_the_servers_id_is_not_taken_for_it(home: Path) -> None:
    (home / release.PID_FILE).write_text(str(psutil.Process().pid), encoding="utf-8")
    assert release._server(home) is None
