"""A model in float32 and in int8 on the same clips: what is measured, and what follows from it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from actreel.evaluation.precision import Clips, Comparison, Form

RIGHT = np.arange(200) % 10 != 0
FLOAT32 = Form(RIGHT, np.zeros((200, 2), dtype=np.float32), 20.0, 0.95, 0.8, 0.04, 10.0, 4.0)
INT8 = replace(FLOAT32, limit=21.5, ms_per_clip=4.0, megabytes=1.0)
GROUPS = [f"g{number % 20}" for number in range(200)]


def compared(max_drop: float = 0.02, **changes: object) -> Comparison:
    return Comparison(FLOAT32, replace(INT8, **changes), GROUPS, max_drop)  # type: ignore[arg-type]


def test_int8_is_served_where_nothing_is_lost_and_the_sentence_has_the_figures() -> None:
    better = RIGHT.copy()
    better[0] = True
    found = compared(right=better)
    assert found.too_much == []
    said = found.in_words
    assert said.startswith(
        "The model is served in int8: on 200 held-out clips, 90.5 % are right, and 90.0 % in float32 (difference +0.5 "
    )
    assert said.endswith(
        "The rejection limit was moved from 20 to 21.5, by what rounding adds to the distances of training clips. On "
        "these clips, rejection and confidences hold in int8 within 2.0 %."
    )
    assert found.table[-2:] == [
        ("One clip, one thread, without decoding", "10.0 ms", "4.0 ms"), ("Network files", "4.0 MB", "1.0 MB")
    ]  # fmt: skip
    assert found.labels["precision"] == "int8"
    assert (found.labels["accuracy"], found.labels["float32_accuracy"]) == ("0.905", "0.9")
    assert float(found.labels["accuracy_low"]) < 0.905 < float(found.labels["accuracy_high"])
    assert compared(ms_per_clip=11.0).in_words.endswith("It is no faster on this machine.")


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"right": RIGHT & (np.arange(200) % 40 != 1)}, "2.5 % of accuracy"),
        ({"accepted": 0.9}, "5.0 % of the share of known clips that the rejection limit accepts"),
        ({"rejected": 0.7}, "10.0 % of the share of unknown clips that the rejection limit rejects"),
        ({"calibration_error": 0.08}, "4.0 % of the agreement of confidence and accuracy"),
    ],
)
def test_float32_is_kept_where_int8_loses_more_than_it_may_of_anything(changes: dict[str, object], lost: str) -> None:
    found = compared(**changes)
    assert found.in_words == (
        f"The model is served in float32: on 200 held-out clips, int8 loses {lost}, and package.max_drop allows 2.0 %."
    )
    assert compared(max_drop=0.11, **changes).too_much == []


def test_a_loss_of_exactly_the_bound_is_allowed() -> None:
    assert compared(accepted=0.95 - 0.02).too_much == []


def test_without_unknown_clips_their_rejection_is_not_judged() -> None:
    found = Comparison(replace(FLOAT32, rejected=None), replace(INT8, rejected=None), GROUPS, 0.02)
    assert found.too_much == []
    assert not [title for title, *_ in found.table if "Unknown" in title]


def test_calibration_clips_are_of_every_action() -> None:
    rows = pd.DataFrame({"clip": [f"{number:03}" for number in range(300)], "action": ["a"] * 280 + ["b"] * 20})
    clips = Clips(None, None, rows, rows, rows)  # type: ignore[arg-type]
    assert clips.calibration["action"].value_counts().to_dict() == {"a": 29, "b": 3}
    assert clips.calibration["clip"].is_unique
    assert len(replace(clips, train=rows.head(5)).calibration) == 5
