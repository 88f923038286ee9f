"""Which marks cannot be those of a video."""

from __future__ import annotations

import pytest

from actreel.base.marks import Mark, fault_in

NAN, INFINITE = float("nan"), float("inf")


def test_marks_may_meet_stand_apart_and_come_in_any_order() -> None:
    marks = [Mark(5, 6, "b"), Mark(0, 2, "a"), Mark(2, 3, "b"), Mark(2.95, 4, "a")]
    assert fault_in(marks, 6) is None
    assert fault_in([], 6) is None
    assert fault_in([Mark(4, 6.9, "a")], 6) is None, "sound lasts longer"


@pytest.mark.parametrize(
    ("mark", "rule"),
    [
        (Mark(-0.1, 1, "Wave"), "from 0 on"),
        (Mark(NAN, 1, "Wave"), "from 0 on"),
        (Mark(0, NAN, "Wave"), "from 0 on"),
        (Mark(0, INFINITE, "Wave"), "from 0 on"),
        (Mark(2, 2, "Wave"), "end after it starts"),
        (Mark(3, 2, "Wave"), "end after it starts"),
        (Mark(6, 6.5, "Wave"), "lasts 6 s"),
        (Mark(5, 7.5, "Wave"), "lasts 6 s"),
    ],
)
def test_a_fault_is_named_with_its_mark(mark: Mark, rule: str) -> None:
    fault = fault_in([Mark(4, 5, "a"), mark], 6)
    assert fault is not None
    assert rule in fault
    assert "'Wave' from" in fault


def test_marks_must_not_overlap() -> None:
    fault = fault_in([Mark(1, 4, "a"), Mark(0, 1.5, "b")])
    assert fault is not None
    assert "'b' from 0 to 1.5 s, and 'a' from 1 to 4 s" in fault
    assert fault_in([Mark(0, 9, "a"), Mark(1, 2, "b"), Mark(3, 4, "c")]) is not None
