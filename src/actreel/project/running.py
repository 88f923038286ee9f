"""Which other DVC process works in this project now, from the locks that it holds."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
import yaml

from actreel.base.places import DVC_HELD, DVC_RUNNING, PIPELINE
from actreel.base.processes import command_line
from actreel.errors import ActreelError


def refuse_second(again: str) -> None:
    """Stops if another run works in this project. DVC says that in three lines about its lock files.

    DVC does not see the stage of a killed run that works on; two stages would write the same files.

    Args:
        again: The command to run later, for the message.

    Raises:
        ActreelError: One does.
    """
    pids = holders()
    if pids is None:
        if orphan := orphaned_stage():
            pid, stage = orphan
            raise ActreelError(
                f"The stage {stage} of a run that was killed still works in this project: process {pid}. "
                f"Wait until it has ended, or stop it: kill {pid}. Then: {again}"
            )
        return
    who = " and ".join(f"process {pid} ({command_of(pid)})" for pid in pids)
    wait = f"Wait until it has ended, or stop it: kill {' '.join(map(str, pids))}" if pids else "Wait for its end"
    raise ActreelError(f"Another run works in this project: {who or 'a DVC process'}. {wait}. Then: {again}")


def holders() -> list[int] | None:
    """The other processes that hold DVC's locks here, as far as they are known; None if no other holds one.

    The DVC process that runs the stage which asks is no other.

    While a stage runs, its paths stand in `rwlock` with the process that runs them. Otherwise DVC holds `lock`.
    """
    own = {process.pid for process in psutil.Process().parents()}
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
            text = lock.read()
            held = text.strip() not in {str(pid).encode() for pid in own}
            with suppress(ValueError):
                pids.add(int(text))
    alive = sorted(pid for pid in pids - own if psutil.pid_exists(pid))
    return alive if alive or held else None


def orphaned_stage() -> tuple[int, str] | None:
    """The process and the name of another stage that runs here though DVC holds no lock; None if there is none.

    If a `dvc repro` is killed, the stage that it has started works on.
    """
    here = Path.cwd()
    stages = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = command_line(process)
            modules = [word for option, word in pairwise(command) if option == "-m"]
            stage = modules[0].removeprefix("pipelines.") if modules else ""
            if process.pid == os.getpid() or modules != [f"pipelines.{stage}"] or stage not in stages:
                continue
            if Path(process.cwd()) == here:
                return process.pid, stage
    return None


def command_of(pid: int) -> str:
    """What a process runs, in a few words; empty if it has ended meanwhile."""
    with suppress(psutil.Error):
        return " ".join(command_line(psutil.Process(pid))[1:4])
    return ""
