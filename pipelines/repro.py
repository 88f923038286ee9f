"""repro: `dvc repro`, also where a killed run has left DVC's files half-written; ends in the closing line."""

from __future__ import annotations

import fcntl
import json
import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from actreel.base.console import exit_cleanly
from actreel.dataset.fetch.dvc_internals import lock_is_whole
from actreel.errors import ActreelError
from pipelines.summary import closing_line

LOCK = Path("dvc.lock")
RUNNING = Path(".dvc/tmp/rwlock")
HELD = Path(".dvc/tmp/lock")

log = logging.getLogger(__name__)


def main() -> None:
    """Runs the pipeline with params.yaml as it is."""
    run_pipeline("make repro")


def run_pipeline(again: str) -> None:
    """Runs the pipeline, and prints what came of it.

    Args:
        again: The command that goes on where this one stopped, for the message.

    Raises:
        ActreelError: A stage has failed, or another DVC process works in this project.
    """
    refuse_second(again)
    mend()
    if subprocess.run([sys.executable, "-m", "dvc", "repro"]).returncode:
        raise ActreelError(
            f"The pipeline has stopped; the reason is above. What is complete is kept. Go on with: {again}"
        )
    log.info(closing_line())


def refuse_second(again: str) -> None:
    """Stops if another DVC process works in this project; DVC itself says that in three lines about its lock files.

    Args:
        again: The command to run later, for the message.

    Raises:
        ActreelError: One does.
    """
    holders = _holders()
    if holders is None:
        return
    who = " and ".join(f"process {pid} ({' '.join(psutil.Process(pid).cmdline()[1:4])})" for pid in holders)
    wait = f"Wait until it has ended, or stop it: kill {' '.join(map(str, holders))}" if holders else "Wait for its end"
    raise ActreelError(f"Another run works in this project: {who or 'a DVC process'}. {wait}. Then: {again}")


def _holders() -> list[int] | None:
    """The processes that hold DVC's locks here, as far as they are known; None if nobody holds one.

    While a stage runs, its paths stand in `rwlock` with the process that runs them. Otherwise DVC holds `lock`.
    """
    pids: set[int] = set()
    with suppress(OSError, ValueError, AttributeError):
        paths = json.loads(RUNNING.read_text(encoding="utf-8"))
        written, read = paths.get("write", {}).values(), paths.get("read", {}).values()
        pids |= {int(holder["pid"]) for holder in (*written, *(each for holders in read for each in holders))}
    held = False
    with suppress(OSError), HELD.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            held = True
            with suppress(ValueError):
                pids.add(int(lock.read()))
    alive = sorted(pid for pid in pids if psutil.pid_exists(pid))
    return alive if alive or held else None


def mend() -> None:
    """Removes what DVC was writing when it was killed: it writes these two files in place, and refuses to start then.

    Without its lock file, DVC looks up finished stages in its cache by what they read.
    """
    if LOCK.exists() and not lock_is_whole(LOCK):
        log.warning(f"{LOCK} was left half-written by a run that was killed; it is made again")
        LOCK.unlink()
    try:
        json.loads(RUNNING.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except ValueError:
        RUNNING.unlink()


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
