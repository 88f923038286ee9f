"""Runs of `actreel teach`: what was taught to which version, by which command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import mlflow
import pandas as pd

from actreel.base.places import ANSWERS
from actreel.tracking.runs import Run, git_commit
from actreel.tracking.store import connect

BASE_TAG = "draft_of"
"""Tag of a run and of a version: the number of the version that it was taught on."""
TAUGHT_TAG = "taught"
"""Tag of a run and of a version: which actions, with how many clips and groups."""


@contextmanager
def lesson_run(base: Run, name: str, tags: Mapping[str, str], lesson: pd.DataFrame) -> Iterator[str]:
    """Opens the run of a draft, which has the parameters of the run that trained the version before.

    Args:
        base: That run.
        name: The new run's name.
        tags: What was taught to which version, and by which command.
        lesson: Its clips, with their contents' sha256.

    Yields:
        The run's id.
    """
    connect()
    kept = {key: base.tags[key] for key in ("protocol", "leaky", "network") if key in base.tags}
    with mlflow.start_run(run_name=name, log_system_metrics=False) as run:
        mlflow.log_params(dict(base.params))
        mlflow.set_tags({**kept, "git_commit": git_commit(), "base_run_id": base.run_id, **tags})
        mlflow.log_text(lesson.to_csv(index=False), "lesson/clips.csv")
        yield str(run.info.run_id)


def log_answers(held_out: pd.DataFrame) -> None:
    """Adds to the open run what the draft answers to each held-out clip, for `actreel compare`.

    Args:
        held_out: With `clip`, `sha256`, `group`, `action` and the draft's answer `after`.
    """
    table = held_out.rename(columns={"action": "actual", "after": "predicted"})
    mlflow.log_text(table.to_csv(index=False), ANSWERS.as_posix())
