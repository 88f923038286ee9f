"""Replacing the served Bento; tests/pipelines/test_package.py does it to a real server under load."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actreel.base.places import BENTO, NOT_PACKAGED
from actreel.base.served import CURRENT, PID_FILE, find_server, read_manifest, tag_in
from actreel.errors import ConfigError, FileError, ModelError
from serving import release
from tests.conftest import free_port

SERVER = """
import json, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Bento(BaseHTTPRequestHandler):
    def do_GET(self):
        manifest = dict(line.split(": ") for line in Path(sys.argv[1], "bento.yaml").read_text().splitlines())
        self.send_response(500 if manifest["name"] == "broken" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"bento": f"{manifest['name']}:{manifest['version']}"}).encode())

signal.signal(signal.SIGHUP, signal.SIG_IGN)
server = HTTPServer(("127.0.0.1", int(sys.argv[5])), Bento)
print(flush=True)
server.serve_forever()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A relative home from which a Bento is served, by a process that answers its page and its model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(release, "_try_out", lambda bento: None)
    home = Path("served")
    bento("old")
    release._point(home, release._copy(Path("old"), home))
    current = str((home / CURRENT).absolute())
    command = [sys.executable, "-c", SERVER, current, "--host", "127.0.0.1", "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it is ready for signals
        (home / PID_FILE).write_text(str(server.pid), encoding="utf-8")
        yield home
        server.kill()


def bento(name: str) -> Path:
    folder = Path(name)
    folder.mkdir()
    (folder / "bento.yaml").write_text(f"name: {name}\nversion: one\n", encoding="utf-8")
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
    release.reload(bento("new"), home)
    assert tag_in(read_manifest(home / CURRENT)) == "new:one"
    assert len(list(home.glob("bento-*"))) == 1
    printed = capsys.readouterr()
    assert "the old workers are draining" in printed.err
    assert printed.out == "Now serving the Bento new:one.\n"


def test_new_workers_whose_page_fails_are_not_called_serving(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"do not answer: / gives HTTP Error 500.*the server's log"):
        release.reload(bento("broken"), home)
    assert "Now serving" not in capsys.readouterr().out


def test_new_workers_that_serve_another_model_are_not_called_serving(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("_point", "_remove_other_copies"):
        monkeypatch.setattr(release, step, lambda home, copy: None)
    with pytest.raises(ModelError, match=r"do not answer: /model names old:one"):
        release.reload(bento("new"), home)


def test_a_bento_that_does_not_become_ready_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(bento: Path) -> None:
        raise ModelError("not ready")

    monkeypatch.setattr(release, "_try_out", fails)
    with pytest.raises(ModelError, match="not ready"):
        release.reload(bento("new"), home)
    assert tag_in(read_manifest(home / CURRENT)) == "old:one"
    assert len(list(home.glob("bento-*"))) == 1


def test_messages_say_which_command_helps(home: Path) -> None:
    with pytest.raises(ModelError, match=r"A server already runs from 'served'.*make reload"):
        release.serve(Path("old"), home, "127.0.0.1", 3000, [])
    with pytest.raises(ModelError, match=r"There is no Bento in 'none'.*make repro"):
        release.reload(Path("none"), home)
    with pytest.raises(ModelError, match=r"No server runs from 'elsewhere'.*make serve"):
        release.reload(Path("old"), Path("elsewhere"))


def test_another_process_with_the_servers_id_is_not_taken_for_it(home: Path) -> None:
    (home / PID_FILE).write_text(str(psutil.Process().pid), encoding="utf-8")
    assert find_server(home) is None


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line that `serve` becomes, in an empty project folder."""
    monkeypatch.chdir(tmp_path)
    command: list[str] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: command.extend(arguments))
    return command


def test_serving_says_what_and_where_and_removes_copies_that_nobody_serves(
    started: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = bento("first")
    with (folder / "bento.yaml").open("a", encoding="utf-8") as manifest:
        manifest.write("labels:\n  registered_model: actreel-demo\n  version: '3'\n")
    bento("second")
    port = free_port()
    for name in ("second", "first"):
        with caplog.at_level("INFO", "serving"):
            release.serve(Path(name), Path("served"), "127.0.0.1", port, [])
    assert caplog.messages == [
        f"serving the Bento second:one on port {port}",
        f"serving the Bento first:one, which is actreel-demo version 3 on port {port}",
    ]
    assert len(list(Path("served").glob("bento-*"))) == 1
    assert started[-5:] == [str(Path("served/current").absolute()), "--host", "127.0.0.1", "--port", str(port)]


def test_a_refused_run_leaves_the_last_served_bento_to_serve(
    started: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    BENTO.mkdir(parents=True)
    NOT_PACKAGED.write_text("No model of the dataset 'mine' is champion: it ties.\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"There is no Bento in 'artifacts/bento'. No model of the dataset 'mine' is"):
        release.serve(BENTO, Path("served"), "127.0.0.1", free_port(), [])
    release.serve(bento("before"), Path("served"), "127.0.0.1", free_port(), [])
    caplog.clear()
    release.serve(BENTO, Path("served"), "127.0.0.1", free_port(), [])
    (warned,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert warned == "No model of the dataset 'mine' is champion: it ties. The Bento that was served last is served."
    assert tag_in(read_manifest(Path("served/current"))) == "before:one"


def test_the_tag_of_a_bento_is_printed_and_a_damaged_one_named(
    started: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `make image` builds the image of."""
    folder = bento("first")
    monkeypatch.setattr("sys.argv", ["release", "tag", "--bento", "first"])
    release.main()
    assert capsys.readouterr().out == "first:one\n"
    for damaged in ("name: fir", "[", ""):
        (folder / "bento.yaml").write_text(damaged, encoding="utf-8")
        with pytest.raises(FileError, match=r"'first/bento\.yaml' is damaged.*dvc repro package"):
            release.serve(folder, Path("served"), "127.0.0.1", free_port(), [])


def test_a_port_that_cannot_be_had_is_a_sentence(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port}: it is in use. .* make serve PORT={port + 1}"):
            release.serve(bento("one"), Path("served"), "127.0.0.1", port, [])
    with pytest.raises(ConfigError, match=r"can listen at 192.0.2.1, port \d+: Cannot assign requested address"):
        release.serve(Path("one"), Path("served"), "192.0.2.1", port, [])
    assert not started
    assert not Path("served").exists(), "nothing was copied"
    monkeypatch.setattr(sys, "argv", ["release", "serve", "--port", "70000"])
    with pytest.raises(SystemExit):
        release.main()
