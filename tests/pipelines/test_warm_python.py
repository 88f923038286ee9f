"""The launchers behave as the programs that they stand for."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import patience
from tests.serving.conftest import wait_for
from tests.warm_python import Started, WarmPython, cold

STAGE = """
import os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

if __name__ == "__main__":
    print(os.getpid(), os.environ["WHO"], sys.argv[1:], "tests.warm_python" in sys.modules, flush=True)
    if sys.argv[1] == "wait":
        time.sleep(600)
    if sys.argv[1] == "spawn":
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(os.getppid() == pool.submit(os.getppid).result(), os.environ["WHO"])
            try:
                pool.submit(os._exit, 3).result()
            except BrokenProcessPool:
                sys.exit(3)
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm")
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "__init__.py").touch()
    (folder / "pipelines" / "stage.py").write_text(STAGE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(project: Path) -> WarmPython:
    return WarmPython(project / "server", libraries=())


@pytest.fixture(scope="module")
def env(server: WarmPython) -> dict[str, str]:
    return {**server.added_to(os.environ), "WHO": "a stage"}


def start(project: Path, env: dict[str, str], argument: str) -> tuple[subprocess.Popen[str], int]:
    """A launcher, and the process id of what it started, which may have ended already."""
    launcher = subprocess.Popen(
        ["python", "-m", "pipelines.stage", argument], cwd=project, env=env, stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout
    with launcher.stdout as output:
        pid, said = output.readline().split(maxsplit=1)
    assert said == f"a stage ['{argument}'] False\n"
    return launcher, int(pid)


def test_a_command_ends_as_its_fork_does(project: Path, env: dict[str, str]) -> None:
    for environment, warm in ((env, True), (cold(env), False)):
        launcher, pid = start(project, environment, "7")
        assert launcher.wait(patience(5)) == 7
        assert (pid != launcher.pid) == warm
    for environment, loaded in ((env, True), (cold(env), False)):
        command = ["python", "-c", "import sys; print('selectors' in sys.modules, sys.argv)", "a", "-b"]
        assert subprocess.check_output(command, env=environment, text=True) == f"{loaded} ['-c', 'a', '-b']\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_fork_outlives_its_command(project: Path, env: dict[str, str], number: int) -> None:
    launcher, pid = start(project, env, "wait")
    fork = psutil.Process(pid)
    launcher.send_signal(number)
    assert launcher.wait(patience(5)) == -number
    wait_for(lambda: not fork.is_running() or fork.status() == psutil.STATUS_ZOMBIE)


def test_a_worker_process_that_a_stage_spawns_is_a_fork_too_and_a_crash_ends_its_pool(
    project: Path, env: dict[str, str]
) -> None:
    for environment, warm in ((env, True), (cold(env), False)):
        command = ["python", "-m", "pipelines.stage", "spawn"]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 3, done.stderr
        assert done.stdout.splitlines()[-1] == f"{warm} a stage"


def test_a_fork_without_a_launcher_is_used_as_a_popen(
    project: Path, server: WarmPython, env: dict[str, str], tmp_path: Path
) -> None:
    def started(argument: str) -> Started:
        with (tmp_path / argument).open("wb") as log:
            return server.start("pipelines.stage", [argument], project, env, log.fileno())

    ended = started("7")
    assert ended.wait(patience(5)) == ended.poll() == 7
    assert (tmp_path / "7").read_text() == f"{ended.pid} a stage ['7'] False\n"
    waiting = started("wait")
    assert waiting.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.01)
    assert psutil.Process(waiting.pid).cwd() == str(project)
    waiting.kill()
    assert waiting.wait(patience(5)) == -signal.SIGKILL
    waiting.send_signal(signal.SIGTERM)  # to nobody
