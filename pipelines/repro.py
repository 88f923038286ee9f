"""repro: `dvc repro`, also where a killed run has left DVC's files half-written; ends in the closing line."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

from actreel.base.console import exit_cleanly
from actreel.dataset.fetch.dvc_internals import lock_is_whole
from actreel.errors import ActreelError
from pipelines.summary import closing_line

LOCK = Path("dvc.lock")
RUNNING = Path(".dvc/tmp/rwlock")

log = logging.getLogger(__name__)


def main() -> None:
    """Runs the pipeline with params.yaml as it is."""
    run_pipeline("make repro")


def run_pipeline(again: str) -> None:
    """Runs the pipeline, and prints what came of it.

    Args:
        again: The command that goes on where this one stopped, for the message.

    Raises:
        ActreelError: A stage has failed.
    """
    mend()
    if subprocess.run([sys.executable, "-m", "dvc", "repro"]).returncode:
        raise ActreelError(
            f"The pipeline has stopped; the reason is above. What is complete is kept. Go on with: {again}"
        )
    log.info(closing_line())


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
