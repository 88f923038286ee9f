"""Serves a Bento with `python -m serving.release serve`, and replaces it without downtime with `reload`.

The server runs from a copy, as the pipeline removes `artifacts/bento` while it builds the next one, and finds the copy
through a link. `reload` copies the new Bento, tries it on another port, moves the link, and has the server start new
workers (SIGHUP). They share the old workers' socket. The old workers answer until a new one is ready, then finish their
requests and jobs and end, so no request is refused or lost.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil

from actreel.base.console import exit_cleanly
from actreel.base.faults import reading
from actreel.base.places import BENTO, NOT_PACKAGED, SERVED
from actreel.base.ports import check_free, port_number
from actreel.base.served import (
    CURRENT,
    MANIFEST,
    PID_FILE,
    address_of,
    find_server,
    is_bento,
    labels_in,
    read_manifest,
    tag_in,
)
from actreel.errors import ModelError
from serving.bentoml_internals import is_worker

START_S = 60.0
END_S = 600.0
"""An old worker ends when its jobs have ended, which may take ten minutes."""

log = logging.getLogger(__name__)


def main() -> None:
    """Serves a Bento, replaces the served one, or prints a Bento's tag."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.release",
        description=__doc__.splitlines()[0],
        epilog="`serve` takes the options of `bentoml serve` too.",
    )
    parser.add_argument("what", choices=("serve", "reload", "tag"))
    parser.add_argument("--bento", type=Path, default=BENTO)
    parser.add_argument("--home", type=Path, default=SERVED, help="the folder of the copies")
    parser.add_argument("--host", default="0.0.0.0", help="default: %(default)s")  # noqa: S104 (BentoML's default)
    parser.add_argument("--port", type=port_number, default=3000, help="default: %(default)s")
    options, arguments = parser.parse_known_args()
    if options.what == "serve":
        serve(options.bento, options.home, options.host, options.port, arguments)
    elif options.what == "tag":
        print(tag_of(options.bento))
    else:
        reload(options.bento, options.home)


def serve(bento: Path, home: Path, host: str, port: int, arguments: list[str]) -> None:
    """Copies a Bento and serves the copy: this process becomes `bentoml serve`.

    If no model of the project's dataset is champion, the Bento that was served last is served again, with a warning.

    Args:
        bento: The Bento's folder.
        home: The folder of the copies.
        host: The address to listen at.
        port: Its port.
        arguments: More arguments of `bentoml serve`.

    Raises:
        ModelError: There is no Bento, or a server already runs from this `home`.
        ConfigError: The server cannot listen at this address.
    """
    if find_server(home) is not None:
        raise ModelError(f"A server already runs from '{home}'. Replace its Bento with: make reload")
    check_free(host, port, "make serve")
    if bento == BENTO and NOT_PACKAGED.is_file() and is_bento(home / CURRENT):
        log.warning(f"{NOT_PACKAGED.read_text(encoding='utf-8').strip()} The Bento that was served last is served.")
    else:
        copy = _copy(bento, home)
        _point(home, copy)
        _remove_other_copies(home, copy)
    log.info(f"serving {_describe(home / CURRENT)} on port {port}")
    (home / PID_FILE).write_text(str(os.getpid()), encoding="utf-8")
    command = [*_command(home / CURRENT), "--host", host, "--port", str(port), *arguments]
    os.execv(sys.executable, command)  # noqa: S606


def reload(bento: Path, home: Path) -> None:
    """Replaces the served Bento, and returns when the old workers have ended.

    Args:
        bento: The new Bento's folder.
        home: The folder of the copies.

    Raises:
        ModelError: No server runs, there is no Bento, or it does not work; the old one is still served then.
    """
    server = find_server(home)
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
    _remove_other_copies(home, copy)
    if fault := _fault(address_of(server), copy):
        raise ModelError(f"The new workers do not answer: {fault}. See the server's log.")
    print(f"Now serving {_describe(copy)}.")


def _remove_other_copies(home: Path, copy: Path) -> None:
    for other in home.iterdir():
        # By name: from Python 3.12 on, mkdtemp returns an absolute path, whatever `home` is.
        if other.is_dir() and not other.is_symlink() and other.name != copy.name:
            shutil.rmtree(other)


def _describe(bento: Path) -> str:
    manifest = read_manifest(bento)
    labels = labels_in(manifest)
    model = f", which is {labels['registered_model']} version {labels['version']}" if "version" in labels else ""
    return f"the Bento {tag_in(manifest)}{model}"


def tag_of(bento: Path) -> str:
    """The tag of the Bento in a folder.

    Raises:
        ModelError: There is none; the message says why, as far as the pipeline does.
        FileError: Its manifest is damaged.
    """
    if not is_bento(bento):
        if bento == BENTO and NOT_PACKAGED.is_file():
            raise ModelError(f"There is no Bento in '{bento}'. {NOT_PACKAGED.read_text(encoding='utf-8').strip()}")
        raise ModelError(f"There is no Bento in '{bento}'. Build it with: make repro")
    with reading(bento / MANIFEST, "Make it again with: dvc repro package"):
        return tag_in(read_manifest(bento))


def _copy(bento: Path, home: Path) -> Path:
    tag_of(bento)
    home.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(prefix="bento-", dir=home))
    return Path(shutil.copytree(bento, copy, dirs_exist_ok=True))


def _point(home: Path, copy: Path) -> None:
    aside = home / f".{CURRENT}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(copy.name)
    aside.rename(home / CURRENT)


def _command(bento: Path) -> list[str]:
    # BentoML takes a relative path for a module. Not resolved, as each new worker must follow the link again.
    return [sys.executable, "-m", "bentoml", "serve", str(bento.absolute())]


def _fault(address: str, bento: Path) -> str | None:
    """What is wrong with the page or the model at an address, or None if both are those of the Bento."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the certificate names another address
    for path in ("/", "/model"):
        try:
            with urllib.request.urlopen(address + path, timeout=START_S, context=context) as response:  # noqa: S310
                body = response.read()
        except OSError as error:
            return f"{path} gives {error}"
    served = json.loads(body)["bento"]
    return None if served == tag_in(read_manifest(bento)) else f"/model names {served}"


def _try_out(bento: Path) -> None:
    """Serves a Bento until it is ready, opens its page, then stops it.

    Raises:
        ModelError: It does not become ready, or its page does not open.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fault: str | None = "it does not become ready"
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
                    address = f"http://127.0.0.1:{port}"
                    with suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=1):  # noqa: S310
                        if (fault := _fault(address, bento)) is None:
                            return
                        break
                    time.sleep(0.1)
            finally:
                _end(psutil.Process(process.pid))
    raise ModelError(f"The new Bento does not work: {fault}. The old Bento is still served.")


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
