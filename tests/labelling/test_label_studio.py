"""Label Studio's frames, timelines, annotations and predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actreel.base.marks import Mark
from actreel.errors import DatasetError
from actreel.labelling.label_studio import read_label_studio
from tests.labelling.conftest import region, task

FILE = Path("project.json")


def test_frames_count_from_1_at_the_rate_that_label_studio_plays() -> None:
    labelled = task(region(1, 12, "Wave"), region(13, 24, "Kick"))
    (found,) = read_label_studio([labelled], FILE, None, None)
    assert found.marks == (Mark(0, 0.5, "Wave"), Mark(0.5, 1, "Kick"))
    assert read_label_studio([labelled], FILE, None, 12.0)[0].marks[0] == Mark(0, 1, "Wave")
    assert read_label_studio([task(region(1, 12, "Wave"), fps=6)], FILE, None, None)[0].marks == (Mark(0, 2, "Wave"),)


def test_the_newest_annotation_counts_and_a_prediction_only_without_any() -> None:
    labelled = task(region(1, 24, "Old"))
    newer = {"updated_at": "2026-03-01", "result": [region(1, 24, "New")]}
    cancelled = {"updated_at": "2026-04-01", "result": [region(1, 24, "No")], "was_cancelled": True}
    labelled["annotations"] += [newer, cancelled]
    labelled["predictions"] = [{"result": [region(1, 24, "Model")]}]
    (found,) = read_label_studio([labelled], FILE, None, None)
    assert ([mark.label for mark in found.marks], found.by_people) == (["New"], True)
    labelled["annotations"] = [cancelled]
    (found,) = read_label_studio([labelled], FILE, None, None)
    assert ([mark.label for mark in found.marks], found.by_people) == (["Model"], False)
    labelled["predictions"] = []
    assert read_label_studio([labelled], FILE, None, None) == []


def test_of_several_timelines_one_is_named() -> None:
    labelled = task(region(1, 24, "Wave", "left"), region(1, 24, "Kick", "right"))
    with pytest.raises(DatasetError, match=r"'left', 'right'.*--tier"):
        read_label_studio([labelled], FILE, None, None)
    assert [mark.label for mark in read_label_studio([labelled], FILE, "right", None)[0].marks] == ["Kick"]


def test_the_video_is_found_under_any_name() -> None:
    labelled = task(region(1, 2, "a"))
    labelled["data"] = {"note": "slow", "clip": "s3://films/lesson.mp4"}
    assert read_label_studio([labelled], FILE, None, None)[0].names == ("s3://films/lesson.mp4",)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (task(region(None, 5, "a")), "is no number"),
        (task(region(1, 5, "")), "printable letters"),
        (task(region(1, 5, "a"), fps=0), "'fps' is 0"),
        (task(region(1, 5, "a"), fps=float("nan")), "'fps' is nan"),
        (task({**region(1, 5, "a"), "value": {"ranges": [], "timelinelabels": ["a", "b"]}}), "one label"),
        (task({**region(1, 5, "a"), "value": "x"}), "one label"),
        ({"video": "x.mp4"}, "not as JSON-MIN"),
    ],
)
def test_faults_are_named(broken: dict[str, Any], fault: str) -> None:
    with pytest.raises(DatasetError, match=fault):
        read_label_studio([broken], FILE, None, None)
