"""Serves a Bento with `python -m serving.release serve`, and replaces it without downtime with `reload`.

The server runs from a copy, as the pipeline removes `artifacts/bento` while it builds the next one, and finds the copy
through a link. `reload` copies the new Bento, tries it on another port, moves the link, and has the server start new
workers (SIGHUP). They share the old workers' socket. The old workers answer until a new one is ready, then finish their
requests and jobs and end, so no request is refused or lost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil

from actreel.base.console import exit_cleanly
from actreel.errors import ModelError
from serving.bentoml_internals import is_worker

BENTO = Path("artifacts/bento")
HOME = Path(".bentoml/served")
CURRENT = "current"
PID_FILE = "pid"
START_S = 60.0
END_S = 600.0
"""An old worker ends when its jobs have ended, which may take ten minutes."""


def main() -> None:
    """Serves a Bento, or replaces the served one."""
    parser = argparse.ArgumentParser(prog="python -m serving.release", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("serve", "reload"))
    parser.add_argument("--bento", type=Path, default=BENTO)
    parser.add_argument("--home", type=Path, default=HOME, help="the folder of the copies")
    options, arguments = parser.parse_known_args()
    if options.what == "serve":
        serve(options.bento, options.home, arguments)
    else:
        reload(options.bento, options.home)


def serve(bento: Path, home: Path, arguments: list[str]) -> None:
    """Copies a Bento and serves the copy: this process becomes `bentoml serve`.

    Args:
        bento: The Bento's folder.
        home: The folder of the copies.
        arguments: More arguments of `bentoml serve`.

    Raises:
        ModelError: There is no Bento, or a server already runs from this `home`.
    """
    if _server(home) is not None:
        raise ModelError(f"A server already runs from '{home}'. Replace its Bento with: make reload")
    _point(home, _copy(bento, home))
    (home / PID_FILE).write_text(str(os.getpid()), encoding="utf-8")
    os.execv(sys.executable, [*_command(home / CURRENT), *arguments])  # noqa: S606


def reload(bento: Path, home: Path) -> None:
    """Replaces the served Bento, and returns when the old workers have ended.

    Args:
        bento: The new Bento's folder.
        home: The folder of the copies.

    Raises:
        ModelError: No server runs, there is no Bento, or it does not become ready; the old one is still served then.
    """
    server = _server(home)
    if server is None:
        raise ModelError(f"No server runs from '{home}'. Start one with: make serve")
    copy = _copy(bento, home)
    try:
        _try_out(copy)
    except ModelError:
        shutil.rmtree(copy)
        raise
    before = set(server.children())
    _point(home, copy)
    server.send_signal(signal.SIGHUP)
    print("New workers are starting; the old workers are draining.", file=sys.stderr, flush=True)
    _, alive = psutil.wait_procs(before, timeout=END_S)
    if alive:
        raise ModelError(f"{len(alive)} of the old workers did not end within {END_S:g} s. See the server's log.")
    for other in home.iterdir():
        # By name: from Python 3.12 on, mkdtemp returns an absolute path, whatever `home` is.
        if other.is_dir() and not other.is_symlink() and other.name != copy.name:
            shutil.rmtree(other)
    print(f"Now serving the Bento from '{bento}'.")


def _copy(bento: Path, home: Path) -> Path:
    if not (bento / "bento.yaml").is_file():
        reason = bento / "NOT_PACKAGED.txt"
        why = f" {reason.read_text(encoding='utf-8').strip()}" if reason.is_file() else ""
        raise ModelError(f"There is no Bento in '{bento}'.{why} Build it with: make repro")
    home.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(prefix="bento-", dir=home))
    return Path(shutil.copytree(bento, copy, dirs_exist_ok=True))


def _point(home: Path, copy: Path) -> None:
    aside = home / f".{CURRENT}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(copy.name)
    aside.rename(home / CURRENT)


def _server(home: Path) -> psutil.Process | None:
    """The server that runs from `home`, or None."""
    with suppress(FileNotFoundError, ValueError, psutil.Error):
        server = psutil.Process(int((home / PID_FILE).read_text(encoding="utf-8")))
        if _command(home / CURRENT)[-1] in server.cmdline():
            return server
    return None


def _command(bento: Path) -> list[str]:
    # BentoML takes a relative path for a module. Not resolved, as each new worker must follow the link again.
    return [sys.executable, "-m", "bentoml", "serve", str(bento.absolute())]


def _try_out(bento: Path) -> None:
    """Serves a Bento until it is ready, then stops it.

    Raises:
        ModelError: It does not become ready.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "ACTREEL_WORKERS": "1", "ACTREEL_STATE_DIR": str(Path(state) / "state")}
        command = [*_command(bento), "--host", "127.0.0.1", "--port", str(port)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + START_S
                tried: set[psutil.Process] = set()
                # A worker that fails is started again and again; a second worker means that the first failed.
                while process.poll() is None and len(tried) < 2 and time.monotonic() < deadline:
                    for child in psutil.Process(process.pid).children():
                        with suppress(psutil.Error):  # it may just have ended
                            tried |= {child} if is_worker(child) else set()
                    # The supervisor accepts the connection; the request waits until a worker answers.
                    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                        return
                    time.sleep(0.1)
            finally:
                _end(psutil.Process(process.pid))
    raise ModelError(f"The new Bento in '{bento}' does not become ready. The old Bento is still served.")


def _end(server: psutil.Process) -> None:
    """Ends a server and its workers, which run in sessions of their own."""
    with suppress(psutil.NoSuchProcess):
        family = [server, *server.children(recursive=True)]
        server.terminate()
        for process in psutil.wait_procs(family, timeout=10)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


if __name__ == "__main__":
    exit_cleanly(main)
