"""X-AnyLabeling's file beside a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actreel.base.marks import Mark
from actreel.errors import DatasetError
from actreel.labelling.x_anylabeling import read_x_anylabeling
from tests.labelling.conftest import sidecar

FILE = Path("lesson.json")


def test_its_segments_are_read_in_milliseconds() -> None:
    (found,) = read_x_anylabeling(sidecar([(1000, 3500, "run"), (3500, 4000, "walk")]), FILE)
    assert (found.names, found.marks) == (("lesson.mp4",), (Mark(1, 3.5, "run"), Mark(3.5, 4, "walk")))
    assert read_x_anylabeling(sidecar([], video=""), FILE)[0].names == ("lesson",)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (sidecar([(0, 5, "a")], type="detection"), "its type is 'detection'"),
        (sidecar([("soon", 5, "a")]), "is no number"),
        (sidecar([(0, 5, None)]), "printable letters"),
        (sidecar([(0, 5, "a\nb")]), "printable letters"),
    ],
)
def test_faults_are_named(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(DatasetError, match=fault):
        read_x_anylabeling(fields, FILE)
