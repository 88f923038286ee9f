"""Whether what the service is asked has drifted from what its model learned from."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd

from actreel.base.places import INDEX
from actreel.dataset.records import data_version, read_index
from actreel.drift.findings import FEWEST, Finding, compare_tables
from actreel.drift.references import COLUMNS, MODEL, VIDEOS, held_out_answers, table_of, training_clips
from actreel.errors import ActreelError, ConfigError, ModelError
from actreel.feedback import DATABASE, FeedbackStore
from actreel.statistics import Asked, hour_of, read_statistics
from actreel.tracking.runs import find_run

EXIT_CODE = 3
"""Of a drift, for programs."""
HARD = "actreel drift --hard 20"

Verdict = Literal["drift", "none", "too_few"]

_AGO = re.compile(r"([1-9]\d{0,4})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True)
class Drift:
    """What was asked, against what the model learned from.

    Attributes:
        verdict: `drift`, `none`, or `too_few` if too few videos were asked for a verdict.
        said: The verdict in a sentence.
        since: The first hour, as `actreel.statistics.Asked.hour`.
        num_videos: Videos that models of this dataset answered.
        model: The newest of these models, as NAME@VERSION; None if no video was asked.
        trained_by: The MLflow run that trained it.
        num_answers: Videos that this model answered.
        columns: What was compared, that which drifted first.
        notes: What was not compared, and why; a sentence each.
        next: The command to run next; None if there is none.
        run_id: The MLflow run with the report; None if there is no verdict.
    """

    verdict: Verdict
    said: str
    since: str
    num_videos: int
    model: str | None
    trained_by: str | None
    num_answers: int
    columns: tuple[Finding, ...]
    notes: tuple[str, ...]
    next: str | None
    run_id: str | None = None

    @property
    def exit_code(self) -> int:
        """What a program that asks for drift ends with."""
        return EXIT_CODE if self.verdict == "drift" else 0

    @property
    def metrics(self) -> dict[str, float]:
        """Its numbers by name: of each column, `effect`, `p` and `drifted`."""
        numbers: dict[str, float] = {"videos_asked": self.num_videos, "columns_drifted": 0}
        for each in self.columns:
            numbers["columns_drifted"] += each.drifted
            numbers |= {
                f"drift.{each.column}.effect": each.effect,
                f"drift.{each.column}.p": each.p_value,
                f"drift.{each.column}.drifted": float(each.drifted),
            }
        return numbers

    def logged(self, run_id: str) -> Drift:
        """The same with the run of its report."""
        return replace(self, run_id=run_id)


def parse_since(text: str, now: datetime) -> datetime:
    """The moment that is so long ago.

    Args:
        text: A number of hours, days or weeks: 12h, 30d, 4w.
        now: The present.

    Raises:
        ConfigError: The text is something else.
    """
    found = _AGO.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"--since must be a number of hours, days or weeks, such as 12h, 30d or 4w. Received: '{text}'."
        )
    return now - timedelta(hours=int(found[1]) * _HOURS[found[2]])


def detect_drift(statistics: Path, feedback: Path, registered_model: str, since: datetime) -> Drift:
    """Compares what was asked with the training clips, and the newest model's answers with those to its test clips.

    Args:
        statistics: The folder of the service's statistics.
        feedback: The feedback folder, which need not exist.
        registered_model: The registered model of this project's dataset; what others answered does not count.
        since: The first moment.

    Raises:
        ActreelError: There are no statistics.
        FileError: The index is missing or damaged.
    """
    if not statistics.is_dir():
        raise ActreelError(
            f"There are no statistics of what the service was asked: '{statistics}' does not exist. Serve and ask "
            "something: make serve. If the service has another folder, name it: export ACTREEL_STATISTICS_DIR=FOLDER"
        )
    everything, damaged = read_statistics(statistics, since)
    asked = [each for each in everything if each.model.rpartition("@")[0] == registered_model]
    newest = asked[-1] if asked else None
    notes = _other_models(everything, registered_model)
    if damaged:
        notes.append(f"Damaged lines of the statistics, as after a full disk: {damaged}. They do not count.")
    findings: list[Finding] = []
    answered = [each for each in asked if newest and each.run_id == newest.run_id]
    if newest is None or len(asked) < FEWEST:
        verdict: Verdict = "too_few"
        said = f"There is no verdict: {len(asked)} videos were asked since {hour_of(since)}, and it takes {FEWEST}."
    else:
        findings, more = _compare(asked, answered, newest)
        notes += more
        drifted = [each.column for each in findings if each.drifted]
        verdict = "drift" if drifted else "none"
        said = f"What is asked has drifted: {', '.join(drifted)}." if drifted else "No drift is seen."
        said += f" {len(asked)} videos were asked since {hour_of(since)}."
    return Drift(
        verdict=verdict,
        said=said,
        since=hour_of(since),
        num_videos=len(asked),
        model=newest.model if newest else None,
        trained_by=newest.run_id if newest else None,
        num_answers=len(answered),
        columns=tuple(findings),
        notes=tuple(notes),
        next=_next(feedback) if verdict == "drift" else None,
    )


def _compare(asked: list[Asked], answered: list[Asked], newest: Asked) -> tuple[list[Finding], list[str]]:
    index = read_index(INDEX)
    clips, notes = training_clips(index)
    pairs: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {VIDEOS: (clips, table_of(asked))}
    try:
        run = find_run(newest.run_id)
        if run.tags.get("data_version") != data_version(index):
            notes.append(f"{newest.model} was trained on other clips than those of '{INDEX}', which are the reference.")
        pairs[MODEL] = held_out_answers(run), table_of(answered)
    except ModelError as error:
        notes.append(f"The answers of {newest.model} are not compared. {error}")
    if len(answered) < len(asked):
        notes.append(
            f"{len(asked) - len(answered)} videos were answered by earlier models: their answers do not count."
        )
    findings = compare_tables(pairs, COLUMNS)
    compared = {each.column for each in findings}
    for about in pairs:
        left_out = [column.name for column in COLUMNS[about] if column.name not in compared]
        if left_out:
            notes.append(f"Not compared, for want of {FEWEST} values on both sides: {', '.join(left_out)}.")
    return findings, notes


def _other_models(asked: list[Asked], registered_model: str) -> list[str]:
    others = Counter(each.model for each in asked if each.model.rpartition("@")[0] != registered_model)
    return [
        f"{count} videos were answered by {model}, which is no model of this project's dataset: they do not count."
        for model, count in others.most_common()
    ]


def _next(feedback: Path) -> str:
    kept = FeedbackStore(feedback).all() if (feedback / DATABASE).is_file() else []
    return HARD if any(video is not None for _, video in kept) else f"{HARD} --answers OUT"
