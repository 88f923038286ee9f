"""No alarm by chance, and one for each difference that matters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from actreel.drift.findings import FEWEST, Column, Finding, compare_tables

COLUMNS = {
    "videos": tuple(Column(name, name) for name in ("duration_s", "fps", "width", "height", "brightness")),
    "answers": tuple(Column(name, name) for name in ("label", "known", "confidence", "margin")),
}


def clips(number: int, seed: int) -> pd.DataFrame:
    """Clips much as UCF50's: many of the same size and rate, with ties."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "duration_s": rng.gamma(4, 1.8, number).round(1),
            "fps": rng.choice([25.0, 30.0], number, p=[0.2, 0.8]),
            "width": 320.0,
            "height": rng.choice([240.0, 226.0], number, p=[0.95, 0.05]),
            "brightness": rng.beta(5, 6, number).round(2),
        }
    )


def answers(number: int, seed: int, labels: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 1])
    confidence = rng.beta(6, 2, number).round(2)
    return pd.DataFrame(
        {
            "label": rng.choice([f"action {place}" for place in range(labels)], number),
            "known": rng.random(number) < 0.9,
            "confidence": confidence,
            "margin": (confidence * rng.random(number)).round(2),
        }
    )


REFERENCE = clips(1000, 0), answers(400, 0)


def find(videos: pd.DataFrame, said: pd.DataFrame) -> dict[str, Finding]:
    pairs = {"videos": (REFERENCE[0], videos), "answers": (REFERENCE[1], said)}
    return {finding.column: finding for finding in compare_tables(pairs, COLUMNS)}


@pytest.mark.parametrize("number", [FEWEST, 300])
def test_videos_like_the_reference_raise_no_alarm(number: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        videos, said = (table.iloc[rng.integers(0, len(table), number)] for table in REFERENCE)
        found = find(videos, said)
        assert len(found) == 9
        assert [each.sentence for each in found.values() if each.drifted] == [], seed


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("brightness", lambda value: value * 0.6),
        ("duration_s", lambda value: value * 3),
        ("width", lambda value: value + 320),
        ("fps", lambda value: value * 0 + 60),
    ],
)
def test_other_videos_raise_an_alarm_in_their_column_alone(column: str, change: object) -> None:
    assert callable(change)
    videos = clips(60, 5)
    videos[column] = change(videos[column])
    found = find(videos, answers(60, 5))
    assert [name for name, each in found.items() if each.drifted] == [column]
    assert next(iter(found)) == column
    assert found[column].effect > 0.2
    assert "has drifted: the median is" in found[column].sentence
    assert sum(bar.asked for bar in found[column].bars) == pytest.approx(1)


def test_other_answers_raise_an_alarm() -> None:
    said = answers(60, 5)
    said["label"] = ["action 0"] * 30 + ["never seen"] * 30
    said["known"] = np.arange(60) < 30
    found = find(clips(60, 5), said)
    assert {name for name, each in found.items() if each.drifted} == {"label", "known"}
    assert "'never seen' is 50%, of the reference 0%" in found["label"].sentence
    assert found["known"].effect == pytest.approx(0.4, abs=0.05)


def test_a_small_difference_is_no_drift_however_certain() -> None:
    videos = pd.concat([clips(20_000, 7)] * 5)
    videos["brightness"] *= 0.95
    finding = find(videos, answers(100, 7))["brightness"]
    assert (finding.p_value < 0.001, finding.drifted) == (True, False)


def test_columns_with_few_values_or_of_one_table_only_are_not_compared() -> None:
    videos = clips(60, 3)
    videos.loc[FEWEST - 1 :, "brightness"] = np.nan
    assert set(find(videos, answers(FEWEST - 1, 3))) == {"duration_s", "fps", "width", "height"}
    assert set(find(videos.drop(columns=["fps"]), answers(FEWEST - 1, 3))) == {"duration_s", "width", "height"}
    assert compare_tables({}, COLUMNS) == []
