"""Which DVC process works in this project now, from the locks that it holds."""

from __future__ import annotations

import fcntl
import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
import yaml

from actreel.base.places import DVC_HELD, DVC_RUNNING, PIPELINE
from actreel.base.processes import command_line


def holders() -> list[int] | None:
    """The processes that hold DVC's locks here, as far as they are known; None if nobody holds one.

    While a stage runs, its paths stand in `rwlock` with the process that runs them. Otherwise DVC holds `lock`.
    """
    pids: set[int] = set()
    with suppress(OSError, ValueError, AttributeError):
        paths = json.loads(DVC_RUNNING.read_text(encoding="utf-8"))
        written, read = paths.get("write", {}).values(), paths.get("read", {}).values()
        pids |= {int(holder["pid"]) for holder in (*written, *(each for holders in read for each in holders))}
    held = False
    with suppress(OSError), DVC_HELD.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            held = True
            with suppress(ValueError):
                pids.add(int(lock.read()))
    alive = sorted(pid for pid in pids if psutil.pid_exists(pid))
    return alive if alive or held else None


def orphaned_stage() -> tuple[int, str] | None:
    """The process and the name of a stage that runs in this folder though DVC holds no lock; None if there is none.

    If a `dvc repro` is killed, the stage that it has started works on.
    """
    here = Path.cwd()
    stages = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = command_line(process)
            modules = [word for option, word in pairwise(command) if option == "-m"]
            stage = modules[0].removeprefix("pipelines.") if modules else ""
            if modules == [f"pipelines.{stage}"] and stage in stages and Path(process.cwd()) == here:
                return process.pid, stage
    return None


def command_of(pid: int) -> str:
    """What a process runs, in a few words; empty if it has ended meanwhile."""
    with suppress(psutil.Error):
        return " ".join(command_line(psutil.Process(pid))[1:4])
    return ""
