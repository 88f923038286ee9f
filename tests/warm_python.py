"""A Python that has imported the slow libraries already: commands that tests run start in it, as forks of one process.

A stage imports for one to five seconds before it does anything, and a run of the pipeline has ten stages. The forks run
the same code from the same files, in a process of their own; `actreel` itself is not imported before. What is about
starting (messages, imports, kills of a whole process group) uses the real Python: `cold`. The worker processes that a
stage spawns, and the DVC that a command starts with its own Python, are such forks too; so are the workers of
pytest-xdist, which share the server.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import gc
import json
import multiprocessing
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp

WARM = "TESTS_WARM_PYTHON"
"""The environment variable that names the server's socket; without it, the launchers start the real programs."""
SUITE = "TESTS_WARM_SUITE"
"""The environment variable that names the folder of the server that the workers of pytest-xdist share."""
LIBRARIES = (
    "pandas", "pyarrow.parquet", "sklearn.metrics", "sklearn.linear_model", "scipy.stats", "cv2", "av", "mlflow",
    "mlflow.store.tracking.sqlalchemy_store", "matplotlib.pyplot", "great_expectations", "tensorflow", "keras",
    "tf2onnx.convert", "dvc.cli", "dvc.repo",
    # What they and `bentoml`, which reads its environment as it is imported, import when it is needed first.
    "networkx", "aiohttp", "dulwich.porcelain", "hydra", "celery", "pygit2", "dvc.commands.repro",
    "dvc.commands.experiments", "dvc_render", "git", "alembic.command", "mlflow.pyfunc", "markdown_it",
    "pyarrow.dataset", "onnxruntime.quantization", "PIL.JpegImagePlugin", "typer", "httpx", "uvicorn", "wsproto",
    "cattrs", "tornado.ioloop", "zmq", "httpx_ws", "prometheus_client", "fastapi_offline",
    "click_option_group", "multipart", "rich.console", "distributed",
)  # fmt: skip
LAUNCHED = ("python", "dvc", "actreel", "mlflow")
MOST_FILES = 64
"""As many open files can a command inherit."""
LAUNCHER = """#!/usr/bin/env -S {python} -IS
import array, json, os, signal, socket, sys

fds = array.array("i", [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{{fd}}")])
name, real = os.path.basename(sys.argv[0]), os.path.join({bin!r}, os.path.basename(sys.argv[0]))
address = os.environ.get({warm!r})
module = "".join(sys.argv[2:3]) if sys.argv[1:2] == ["-m"] else ""
stage = module.startswith("pipelines.") and module != "pipelines.source"  # which looks for its parent, DVC
known = module in ("dvc", "uvicorn", "tests.youtube_double", "_bentoml_impl.worker.service")
worker = sys.argv[-1] == "--multiprocessing-fork" or sys.argv[1:3] == ["-u", "-c"]  # multiprocessing's, or execnet's
code = sys.argv[1:2] == ["-c"]
if not address or name == "python" and not (stage or worker or known or code):
    os.execv(real, [real, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect(address)
asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ), list(fds)]).encode()
server.sendmsg([len(asked).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
server.sendall(asked)
pid = int.from_bytes(server.recv(4, socket.MSG_WAITALL), "big")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
status = int.from_bytes(server.recv(4, socket.MSG_WAITALL) or b"\\0\\0\\0\\x09", "big")
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
    os.kill(os.getpid(), os.WTERMSIG(status))
os._exit(os.waitstatus_to_exitcode(status))
"""


@cache
def warm_python() -> WarmPython:
    """The one server of the suite, or of this process, where pytest-xdist is not used."""
    return WarmPython(Path(os.environ.get(SUITE) or mkdtemp(prefix="warm-")))


def fork_workers(specifications: Sequence[str]) -> list[str]:
    """Lets pytest-xdist start its workers as forks, which import nothing that another has imported.

    Args:
        specifications: Those of its gateways, such as "popen".

    Returns:
        Those that start the workers warm.
    """
    server = warm_python()
    os.environ |= {SUITE: str(server.launchers.parent), WARM: str(server.address)}
    python = server.launchers / "python"
    return [f"{each}//python={python}" if each == "popen" else each for each in specifications]


def cold(env: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the real programs start."""
    return {name: value for name, value in env.items() if name != WARM}


class WarmPython:
    """Starts the server, and has the folder with the launchers for the head of PATH."""

    def __init__(self, folder: Path, libraries: Sequence[str] = LIBRARIES) -> None:
        """Starts the server, if none runs in this folder; commands wait until it has imported the libraries.

        It ends with the process that started it.
        """
        self.launchers = folder / "bin"
        self.address = folder / "warm"
        if not self.address.exists():
            self._start(libraries)

    def _start(self, libraries: Sequence[str]) -> None:
        self.launchers.mkdir(parents=True)
        programs = Path(sys.executable).parent
        text = LAUNCHER.format(python=Path(sys.executable).resolve(), bin=str(programs), warm=WARM)
        for name in LAUNCHED:
            (self.launchers / name).write_text(text, encoding="utf-8")
            (self.launchers / name).chmod(0o755)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.address))
        listening.listen(16)
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(listening.fileno()), *libraries], pass_fds=[listening.fileno()],
            env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"},
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        listening.close()
        atexit.register(self._server.communicate)  # closes its input

    def added_to(self, env: Mapping[str, str]) -> dict[str, str]:
        """The environment whose commands start warm."""
        return {**env, "PATH": f"{self.launchers}{os.pathsep}{env['PATH']}", WARM: str(self.address)}

    def start(self, module: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str], log: int) -> Started:
        """Starts `python -m module arguments` without a launcher: what it writes goes to the open file `log`.

        What it starts with its own Python starts warm too, if the environment comes from `added_to`.
        """
        python = str(self.launchers / "python") if WARM in env else sys.executable
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.address))
        asked = json.dumps([[python, "-m", module, *arguments], str(folder), dict(env), [0, 1, 2]]).encode()
        with Path(os.devnull).open("rb") as nothing:
            fds = array.array("i", [nothing.fileno(), log, log])
            connection.sendmsg([len(asked).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            connection.sendall(asked)
        return Started(int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big"), connection)


class Started:
    """A process that the server has forked, used as a `subprocess.Popen` is."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self._connection = connection
        self._status: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Returns what `Popen.wait` does.

        Raises:
            subprocess.TimeoutExpired: It has not ended within `timeout` seconds.
        """
        if self._status is None:
            self._connection.settimeout(timeout)
            try:
                told = self._connection.recv(4)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("a warm process", timeout or 0) from None
            self._connection.close()
            self._status = os.waitstatus_to_exitcode(int.from_bytes(told, "big")) if told else -signal.SIGKILL
        return self._status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _receive(connection: socket.socket) -> tuple[list[object], list[int]]:
    fds = array.array("i")
    length, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_LEN(MOST_FILES * fds.itemsize))
    fds.frombytes(ancillary[0][2])
    asked = connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
    return json.loads(asked), list(fds)


def _become(command: list[str], folder: str, env: dict[str, str], numbers: list[int], fds: list[int]) -> None:
    """Runs the command in this process, with the launcher's folder, environment and open files."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    aside = [fcntl.fcntl(fd, fcntl.F_DUPFD, 2 * max(*fds, *numbers)) for fd in fds]
    for fd in fds:
        os.close(fd)
    for number, fd in zip(numbers, aside, strict=True):
        os.dup2(fd, number)
        os.close(fd)
    import numpy as np

    np.random.seed()
    launcher, *arguments = command
    real = str(Path(sys.executable).with_name(Path(launcher).name))
    sys.orig_argv[:] = [real, *arguments]
    if arguments[:2] == ["-u", "-c"]:  # a worker of pytest-xdist: its tests choose what starts warm
        del os.environ[WARM]
        sys.argv[:] = ["-c"]
        exec(arguments[2], {"__name__": "__main__"})  # noqa: S102 (what execnet starts its workers with)
        return
    # What it starts with its own Python starts warm too.
    sys.executable = str(Path(launcher).with_name("python"))
    multiprocessing.set_executable(sys.executable)
    if arguments[-1:] == ["--multiprocessing-fork"]:
        sys.path.insert(0, "")
        sys.argv[:] = ["-c", *arguments[-1:]]
        exec(arguments[-2], {"__name__": "__main__"})  # noqa: S102 (what multiprocessing starts its workers with)
    elif arguments[:1] == ["-c"]:
        sys.path.insert(0, "")
        sys.argv[:] = ["-c", *arguments[2:]]
        exec(arguments[1], {"__name__": "__main__"})  # noqa: S102 (what the test wants to run)
    elif Path(real).name == "python":
        sys.path.insert(0, folder)
        sys.argv[:] = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(real).parent))
        sys.argv[:] = [real, *arguments]
        runpy.run_path(real, run_name="__main__")


def _run(command: list[str], folder: str, env: dict[str, str], numbers: list[int], fds: list[int]) -> None:
    """Runs the command, and ends without taking the libraries apart, which takes longer than many a command."""
    sys.path[:] = [*filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *sys.path[1:]]
    try:
        _become(command, folder, env, numbers, fds)
        STATUS.append(0)
    except SystemExit as end:
        STATUS.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
    except Exception:
        STATUS.append(1)
        raise


STATUS: list[int] = []
"""With which the command of this fork ends."""


def _end() -> None:
    """Ends the fork. It was registered first, so everything else that was registered has run."""
    if STATUS:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(STATUS[0] & 0xFF)


def serve(listening: socket.socket) -> None:
    """Forks for each command; ends a command whose launcher was killed."""
    chosen = selectors.DefaultSelector()
    chosen.register(listening, selectors.EVENT_READ)
    chosen.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in chosen.select():
            if key.fileobj == 0:  # the process that started this one has ended
                return
            if key.fileobj is listening:
                connection, _ = listening.accept()
                asked, fds = _receive(connection)
                pid = os.fork()
                if pid == 0:
                    chosen.close()
                    listening.close()
                    connection.close()
                    _run(*asked, fds=fds)  # type: ignore[arg-type]
                    return
                for fd in fds:
                    os.close(fd)
                with suppress(OSError):  # a launcher that was killed already
                    connection.sendall(pid.to_bytes(4, "big"))
                ended = os.pidfd_open(pid)
                chosen.register(ended, selectors.EVENT_READ, (pid, connection, ended))
                chosen.register(connection, selectors.EVENT_READ, (pid, connection, ended))
                continue
            pid, connection, ended = key.data
            if connection.fileno() == -1:  # its fork ended in the same moment
                continue
            if key.fileobj is connection:  # the launcher was killed: it sends nothing more otherwise
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                chosen.unregister(connection)
                continue
            _, status = os.waitpid(pid, 0)
            with suppress(OSError):
                connection.sendall(status.to_bytes(4, "big"))
            with suppress(KeyError):
                chosen.unregister(connection)
            chosen.unregister(ended)
            os.close(ended)
            connection.close()


if __name__ == "__main__":
    atexit.register(_end)
    gc.disable()
    for library in sys.argv[2:]:
        import_module(library)
    if "mlflow" in sys.modules:  # it lists the files of all packages before it logs a process's first model
        import_module("mlflow.utils.requirements_utils")._init_modules_to_packages_map()
    gc.freeze()
    gc.enable()
    serve(socket.socket(fileno=int(sys.argv[1])))
