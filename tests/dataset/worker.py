"""What the tests of `map_on_cores` run in worker processes, each of which imports this file."""

import os
import signal
from pathlib import Path

from actreel.errors import DatasetError


def double(number: int) -> int:
    return 2 * number


def die_on(fatal: frozenset[int], number: int) -> int:
    if number in fatal:
        os.kill(os.getpid(), signal.SIGSEGV)
    return 2 * number


def die_once(trace: Path, number: int) -> int:
    if number == 7 and not trace.exists():
        trace.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def negative(number: int) -> int:
    return -number


def leave_trace(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    return number


def refuse(number: int) -> int:
    raise DatasetError(f"received {number}")


def stay(number: int) -> int:
    print(os.getpid(), flush=True)
    return signal.sigwait({signal.SIGUSR1})
