from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.inference.segments import Segment
from actreel.live.lettering import lettered
from actreel.live.overlay import GREY, Overlay, colour_of

SEGMENTS = [Segment(0.0, 4.0, 0, 0.9), Segment(4.0, 6.0, 1, 0.0, known=False), Segment(6.0, 8.0, 1, 0.51)]
LABELS = ("Wave", "挥手")


def drawn(seconds: float, height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    frame = np.full((height, width, 3), 200, dtype=np.uint8)
    return Overlay(width, height, 8.0, SEGMENTS, LABELS).draw(frame, seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "Wave  90%"), (3.99, "Wave  90%"), (4.0, "unknown"), (6.0, "挥手  51%"), (99.0, "挥手  51%")],
)
def test_the_label_of_the_moment_is_drawn(seconds: float, text: str) -> None:
    frame = drawn(seconds)
    ink = lettered(text, 21)
    strip = frame[240 - 4 - 21 : 240 - 4].astype(int)
    assert np.array_equal(strip[:, : ink.shape[1], 0] > 150, 80 + (255 - 80) * ink.astype(int) // 255 > 150)
    assert (strip[:, ink.shape[1] :] == 80).all(), "the picture shows through"
    assert (frame[: 240 - 25] == 200).all()


def test_the_timeline_has_each_segments_colour_bright_as_far_as_it_was_played() -> None:
    bar = drawn(6.0)[-1].astype(int)
    for column, colour in ((10, colour_of(0)), (200, GREY)):
        assert tuple(bar[column]) == colour
    assert tuple(bar[300]) == tuple(value // 3 for value in colour_of(1))
    assert (bar[239:241] == 255).all()
    assert (drawn(8.0)[-1, 319:] == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (13, 5), (16, 400), (1080, 1920)])
def test_any_size_can_be_drawn_into(size: tuple[int, int]) -> None:
    assert drawn(5.0, *size).shape == (*size, 3)


def test_a_long_label_becomes_smaller() -> None:
    frame = np.zeros((240, 120, 3), dtype=np.uint8)
    Overlay(120, 240, 1.0, [Segment(0.0, 1.0, 0, 1.0)], ["A rather long label"]).draw(frame, 0.0)
    columns = np.flatnonzero((frame[: 240 - 4] > 150).any(axis=(0, 2)))
    assert 90 < columns.max() < 120


def test_neighbouring_actions_differ() -> None:
    colours = [np.array(colour_of(action)) for action in range(50)]
    assert all(np.abs(one - other).sum() > 100 for one, other in pairwise(colours))
