"""A Bento goes live: `python -m serving.release serve`, and `reload` to put the next in its place without a pause.

What is served is a copy, as the pipeline removes `artifacts/bento` while it makes the next. The server knows the copy
by a link; `reload` tries the new Bento on another port, moves the link, and tells the server (SIGHUP) to start new
workers. They listen on the socket that the old ones have, which go on until a new one is ready, finish what they have
taken on, and end: no call is refused or lost.
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

from actreel.console import exit_cleanly
from actreel.errors import ModelError
from serving.workers.leaving import WORKER

BENTO = Path("artifacts/bento")
HOME = Path(".bentoml/served")
CURRENT = "current"
PID_FILE = "pid"
START_S = 60.0
END_S = 600.0
"""An old worker ends once its jobs have, and those have ten minutes."""


def main() -> None:
    """Serves, or renews what is served."""
    parser = argparse.ArgumentParser(prog="python -m serving.release", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("serve", "reload"))
    parser.add_argument("--bento", type=Path, default=BENTO)
    parser.add_argument("--home", type=Path, default=HOME, help="where the copies are kept")
    options, arguments = parser.parse_known_args()
    if options.what == "serve":
        serve(options.bento, options.home, arguments)
    else:
        reload(options.bento, options.home)


def serve(bento: Path, home: Path, arguments: list[str]) -> None:
    """Becomes `bentoml serve` with a copy of a Bento.

    Args:
        bento: The Bento's folder.
        home: Where the copies are kept.
        arguments: More of `bentoml serve`'s.

    Raises:
        ModelError: There is no Bento, or a server from this `home` runs already.
    """
    if _server(home) is not None:
        raise ModelError(f"one server may run from '{home}'. Received: a second. Renew the first with: make reload")
    _point(home, _copy(bento, home))
    (home / PID_FILE).write_text(str(os.getpid()), encoding="utf-8")
    os.execv(sys.executable, [*_command(home / CURRENT), *arguments])  # noqa: S606


def reload(bento: Path, home: Path) -> None:
    """Puts a Bento in the place of the one that is served, and returns once the old workers have ended.

    Raises:
        ModelError: No server runs, there is no Bento, or it does not get ready; then the old one stays.
    """
    server = _server(home)
    if server is None:
        raise ModelError(f"a server must run from '{home}'. Received: none. Start it with: make serve")
    copy = _copy(bento, home)
    try:
        _try_out(copy)
    except ModelError:
        shutil.rmtree(copy)
        raise
    before = set(server.children())
    _point(home, copy)
    server.send_signal(signal.SIGHUP)
    print("the new workers start; the old ones finish what they have taken on", file=sys.stderr, flush=True)
    _, alive = psutil.wait_procs(before, timeout=END_S)
    if alive:
        raise ModelError(f"the old workers must end. Received: {len(alive)} that did not. Look at the server's log.")
    for other in home.iterdir():
        if other.is_dir() and not other.is_symlink() and other != copy:
            shutil.rmtree(other)
    print(f"now serving the Bento of {bento}")


def _copy(bento: Path, home: Path) -> Path:
    if not (bento / "bento.yaml").is_file():
        reason = bento / "NOT_PACKAGED.txt"
        why = f" {reason.read_text(encoding='utf-8').strip()}" if reason.is_file() else ""
        raise ModelError(f"there must be a Bento to serve. Received: '{bento}' without one.{why} Try: make repro")
    home.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(prefix="bento-", dir=home))
    return Path(shutil.copytree(bento, copy, dirs_exist_ok=True))


def _point(home: Path, copy: Path) -> None:
    aside = home / f".{CURRENT}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(copy.name)
    aside.rename(home / CURRENT)


def _server(home: Path) -> psutil.Process | None:
    """The server that runs from `home`, if there is one."""
    with suppress(FileNotFoundError, ValueError, psutil.Error):
        server = psutil.Process(int((home / PID_FILE).read_text(encoding="utf-8")))
        if _command(home / CURRENT)[-1] in server.cmdline():
            return server
    return None


def _command(bento: Path) -> list[str]:
    # BentoML takes a relative path for a module. Not resolved: each new worker must follow the link anew.
    return [sys.executable, "-m", "bentoml", "serve", str(bento.absolute())]


def _try_out(bento: Path) -> None:
    """Serves a Bento for as long as it takes to get ready."""
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
                # A worker that fails is started again and again; one failure is enough to know.
                while process.poll() is None and len(tried) < 2 and time.monotonic() < deadline:
                    for child in psutil.Process(process.pid).children():
                        with suppress(psutil.Error):  # it may just have ended
                            tried |= {child} if WORKER in child.cmdline() else set()
                    # The supervisor takes the call, and nobody answers before a worker does.
                    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                        return
                    time.sleep(0.1)
            finally:
                _end(psutil.Process(process.pid))
    raise ModelError(f"the new Bento must get ready. Received: '{bento}', which does not; the old one is still served.")


def _end(server: psutil.Process) -> None:
    """Ends a server with its workers, which are in sessions of their own."""
    with suppress(psutil.NoSuchProcess):
        family = [server, *server.children(recursive=True)]
        server.terminate()
        for process in psutil.wait_procs(family, timeout=10)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


if __name__ == "__main__":
    exit_cleanly(main)
