"""repro: `dvc repro`, also where a killed run has left DVC's files half-written; ends in the closing line."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys

from actreel.base.console import exit_cleanly
from actreel.base.kept_warnings import kept_warnings
from actreel.base.places import DVC_LOCK, DVC_RUNNING, PACKAGE_WARNINGS, PARAMS
from actreel.config import load_params, written_path
from actreel.dataset.fetch.dvc_internals import cache_folder, edit_params, lock_is_whole
from actreel.errors import ActreelError
from actreel.project.running import refuse_second
from pipelines.summary import closing_line

log = logging.getLogger(__name__)

_FULL_MB = 8
"""Less than this is free on a disk that is full: what DVC was writing then stays there."""


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
    repair()
    write_home_out()
    if subprocess.run([sys.executable, "-m", "dvc", "repro"]).returncode:
        raise ActreelError(
            f"The pipeline has stopped; the reason is above.{_full_cache()} What is complete is kept. "
            f"Go on with: {again}"
        )
    for warning in kept_warnings(PACKAGE_WARNINGS):
        log.warning(f"(from the stage {warning.stage}) {warning.text}")
    log.info(closing_line())


def _full_cache() -> str:
    """What to do where the disk of DVC's cache is full, which DVC says without a remedy; otherwise nothing."""
    try:
        cache = cache_folder()
    except ActreelError:  # DVC has said why it does not work here
        return ""
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(there).free / 2**20
    if free >= _FULL_MB:
        return ""
    return (
        f" The disk of DVC's cache is full: {free:,.0f} MB are free at '{cache}'. Free some space, as with dvc gc "
        "--workspace, or put the cache on another disk: dvc cache dir --local FOLDER."
    )


def write_home_out() -> None:
    """Writes dataset.path out in params.yaml where it begins with `~`: DVC would take that for the name of a folder."""
    if written_path().startswith("~"):
        whole = load_params().dataset.path
        edit_params(PARAMS, {"dataset": {"path": whole}})
        log.info(f"dataset.path is '{whole}' in {PARAMS} now: DVC does not know '~'")


def repair() -> None:
    """Removes what DVC was writing when it was killed: it writes these two files in place, and refuses to start then.

    Without its lock file, DVC looks up finished stages in its cache by what they read.
    """
    if DVC_LOCK.exists() and not lock_is_whole(DVC_LOCK):
        log.warning(f"{DVC_LOCK} was left half-written by a run that was killed; it is made again")
        DVC_LOCK.unlink()
    try:
        json.loads(DVC_RUNNING.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except ValueError:
        DVC_RUNNING.unlink()


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
