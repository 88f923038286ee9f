"""ELAN's tiers and times."""

from __future__ import annotations

from pathlib import Path

import pytest

from actreel.base.marks import Mark
from actreel.errors import DatasetError
from actreel.labelling.elan import read_elan
from tests.labelling.conftest import eaf

FILE = Path("lesson.eaf")


def test_the_only_tier_with_segments_is_read_whatever_its_name() -> None:
    (found,) = read_elan(eaf([(0, 1520, "Wave"), (1520, 3000, " _unknown ")], tier="moves"), FILE, None)
    assert found.marks == (Mark(0, 1.52, "Wave"), Mark(1.52, 3, "_unknown"))
    assert found.names == ("file:///home/anna/lesson.mp4", "lesson")
    assert found.by_people


def test_of_several_tiers_one_is_named() -> None:
    text = eaf([(0, 500, "Wave")], tier="left")
    both = text.replace("</ANNOTATION_DOCUMENT>", text[text.index("<TIER ") :]).replace("left", "right", 1)
    with pytest.raises(DatasetError, match=r"the tiers 'left', 'right'\. Name the tier: --tier NAME"):
        read_elan(both, FILE, None)
    assert read_elan(both, FILE, "left")[0].marks
    with pytest.raises(DatasetError, match="--tier"):
        read_elan(both, FILE, "middle")


def test_times_count_from_where_elan_plays_the_medium() -> None:
    text = eaf([(0, 500, "Wave")]).replace("<MEDIA_DESCRIPTOR", '<MEDIA_DESCRIPTOR TIME_ORIGIN="2000"')
    assert read_elan(text, FILE, None)[0].marks == (Mark(2, 2.5, "Wave"),)


def test_the_path_beside_the_file_comes_first() -> None:
    text = eaf([(0, 5, "a")]).replace("<MEDIA_DESCRIPTOR", '<MEDIA_DESCRIPTOR RELATIVE_MEDIA_URL="./lesson.mp4"')
    assert read_elan(text, FILE, None)[0].names[:2] == ("./lesson.mp4", "file:///home/anna/lesson.mp4")


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('TIME_VALUE="500"', "", "has no times"),
        ('TIME_VALUE="500"', 'TIME_VALUE="half"', "is no number"),
        ('TIME_SLOT_REF2="ts1"', 'TIME_SLOT_REF2="ts9"', "has no times"),
        ("Wave", "", "printable letters"),
        ("Wave", "x" * 201, "printable letters"),
        ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION", "without segments"),
    ],
)
def test_faults_are_named(before: str, after: str, fault: str) -> None:
    with pytest.raises(DatasetError, match=fault):
        read_elan(eaf([(0, 500, "Wave")]).replace(before, after), FILE, None)
