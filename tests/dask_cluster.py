"""A Dask cluster on loopback."""

import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import free_port


class Cluster:
    """A scheduler and workers without nannies, so that a killed worker stays away."""

    def __init__(self, stack: ExitStack, address: str | None = None) -> None:
        """Starts a scheduler, unless the address of one is given."""
        self._stack = stack
        if address is not None:
            self.address = address
            return
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), until="Scheduler at:")

    def add_worker(self, folder: Path | None = None) -> subprocess.Popen[str]:
        """Starts a worker, by default in the current folder."""
        options = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        return self._start("worker", self.address, *options, until="Registered to:", folder=folder)

    def _start(self, kind: str, *options: str, until: str, folder: Path | None = None) -> subprocess.Popen[str]:
        """Starts a process; it has logged `until` when this returns."""
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=folder, env=environment
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if until in line:
                break
        else:
            pytest.fail(f"The {kind} has ended: {''.join(said)}")
        self._stack.enter_context(_drained(process))
        return process


def _drained(process: subprocess.Popen[str]) -> ExitStack:
    """Reads on what a process logs, or it would wait for a full pipe."""
    stack = ExitStack()
    assert process.stderr is not None
    thread = threading.Thread(target=process.stderr.read)
    thread.start()
    stack.callback(thread.join)
    stack.callback(process.kill)
    return stack
