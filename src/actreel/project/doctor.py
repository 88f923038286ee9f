"""Whether this machine has what the project needs: one check after another, each in a process of its own.

A library that is broken may end its process without an exception, so no check runs in this one:
`python -m actreel.project.doctor NAME` makes one check, and prints what it finds as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from actreel.base.faults import explain
from actreel.errors import ActreelError
from actreel.project.findings import REINSTALL, Finding, fault, note

CHECKS = {
    "python": ("Python", "machine"),
    "packages": ("packages", "machine"),
    "settings": ("settings", "libraries"),
    "codecs": ("codecs", "libraries"),
    "model": ("model", "libraries"),
    "youtube": ("YouTube", "libraries"),
    "mlflow": ("MLflow", "libraries"),
    "dvc": ("DVC", "libraries"),
    "gpu": ("GPU", "libraries"),
    "disk": ("disk", "machine"),
    "memory": ("memory", "machine"),
    "folders": ("folders", "machine"),
    "ports": ("ports", "machine"),
    "ffmpeg": ("ffmpeg", "machine"),
}
"""The checks: the title of each, and the module that has its function."""
TIMEOUT_S = 120


def examine(names: Sequence[str] = tuple(CHECKS)) -> Iterator[tuple[str, Finding]]:
    """Makes the checks, as many at a time as there are cores.

    Yields:
        The name of each check and what it found, in order.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(names, pool.map(_in_own_process, names), strict=True)


def _in_own_process(name: str) -> Finding:
    command = [sys.executable, "-P", "-m", "actreel.project.doctor", name]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return fault(f"the check did not end within {TIMEOUT_S} s", REINSTALL)
    if done.returncode < 0:
        return fault(f"the check was ended by {signal.Signals(-done.returncode).name}: a library is broken", REINSTALL)
    try:
        return Finding(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return fault(f"the check failed, and said: {last}", REINSTALL)


def check(name: str) -> Finding:
    """Makes one check in this process; whatever it raises is what it found."""
    try:
        module = importlib.import_module(f"actreel.project.{CHECKS[name][1]}")
        found: Finding = getattr(module, name)()
    except ModuleNotFoundError as error:
        what = f"not checked: {error.name} is not installed"
        return note(what, "pip install 'actreel[pipeline,serve,youtube]', or in the repository: make setup")
    except ImportError as error:
        return fault(f"a library cannot be loaded: {_first_line(error)}", REINSTALL)
    except ActreelError as error:
        return fault(str(error))
    except Exception as error:  # a library may raise anything when it is broken
        return fault(explain(error) or f"{type(error).__name__}: {_first_line(error)}", REINSTALL)
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


if __name__ == "__main__":
    print(json.dumps(asdict(check(sys.argv[1]))))
