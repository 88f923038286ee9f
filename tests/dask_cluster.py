"""A Dask cluster on loopback."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from tests.conftest import free_port
from tests.warm_python import Started, warm_python


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
        http = ("--dashboard-address", "127.0.0.1:0")  # by default a port that another cluster may hold
        self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), *http, until="Scheduler at:")

    def add_worker(self, folder: Path | None = None) -> Started:
        """Starts a worker, by default in the current folder."""
        options = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        return self._start("worker", self.address, *options, until="Registered to:", folder=folder)

    def _start(self, kind: str, *options: str, until: str, folder: Path | None = None) -> Started:
        """Starts a process; it has logged `until` when this returns."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        arguments, module = [*options, "--no-dashboard"], f"distributed.cli.dask_{kind}"
        log = self._stack.enter_context(NamedTemporaryFile())  # noqa: SIM115
        process = warm_python().start(module, arguments, folder or Path.cwd(), environment, log.fileno())
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        while until not in (said := Path(log.name).read_text(encoding="utf-8")):
            if process.poll() is not None:
                pytest.fail(f"The {kind} has ended: {said}")
            time.sleep(0.02)
        return process
