"""What the service's videos and answers are compared with: training clips, and the model's answers to test clips."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from actreel.base.places import ANSWERS, CLIPS
from actreel.dataset.layout import TRAIN
from actreel.dataset.records import clips_of
from actreel.dataset.store import StoredClips
from actreel.drift.findings import Column
from actreel.errors import ActreelError
from actreel.statistics import Asked, coarse
from actreel.tracking.runs import Run, read_artifact
from actreel.video.looks import Brightness

VIDEOS, MODEL = "videos", "answers"
COLUMNS = {
    VIDEOS: (
        Column("duration_s", "The duration", " s"),
        Column("fps", "The frame rate", " fps"),
        Column("width", "The width", " px"),
        Column("height", "The height", " px"),
        Column("brightness", "The brightness"),
    ),
    MODEL: (
        Column("label", "The share of the actions"),
        Column("known", "The share of known actions"),
        Column("confidence", "The confidence"),
        Column("margin", "The margin of the best action"),
        Column("distance", "The distance from the training clips"),
    ),
}
"""What is compared. The number of frames is kept too, but follows from duration and frame rate."""

_LOOKED_AT = 256


def table_of(asked: Sequence[Asked]) -> pd.DataFrame:
    """What was asked as a table, one row a video."""
    return _coarse(pd.DataFrame([asdict(each) for each in asked]))


def training_clips(index: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The properties of the training clips.

    Args:
        index: The index.

    Returns:
        One row a clip, and what is left out and why. `brightness` is missing but for clips drawn at random.
    """
    train = clips_of(index, TRAIN)
    table = train[["duration_s", "fps", "width", "height", "num_frames"]].astype(float)
    try:
        table["brightness"] = _brightness(train["clip"])
    except (ActreelError, KeyError) as error:
        return _coarse(table), [f"The brightness is not compared: the frames of the training clips are gone. {error}"]
    return _coarse(table), []


def _brightness(clips: pd.Series) -> pd.Series:
    store = StoredClips(CLIPS)
    values = {}
    for row, clip in clips.sample(min(len(clips), _LOOKED_AT), random_state=0).items():
        brightness = Brightness()
        brightness.add(store.take([clip]))
        values[row] = brightness.mean
    return pd.Series(values, dtype=float)


def held_out_answers(run: Run) -> pd.DataFrame:
    """What a model answered to its test clips, one row a clip.

    Raises:
        ModelError: The run was not evaluated.
    """
    # An action may be called "nan" or "1".
    table = pd.read_csv(io.StringIO(read_artifact(run, ANSWERS.as_posix())), dtype=str, keep_default_na=False)
    table = table.drop(columns="label", errors="ignore").rename(columns={"predicted": "label"})
    table = table[[column.name for column in COLUMNS[MODEL] if column.name in table]]
    if "known" in table:
        table["known"] = table["known"] == "True"
    numbers = [name for name in ("confidence", "margin", "distance") if name in table]
    return _coarse(table.astype(dict.fromkeys(numbers, float)))


def _coarse(table: pd.DataFrame) -> pd.DataFrame:
    """The table with numbers as coarse as those of the statistics."""
    numbers = table.select_dtypes("number")
    return table.assign(**{str(name): values.astype(float).map(coarse) for name, values in numbers.items()})
