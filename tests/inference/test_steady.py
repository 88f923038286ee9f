from __future__ import annotations

import numpy as np
import pytest

from actreel.inference.steady import BAND, Shown, SteadyLabel


def update(label: SteadyLabel, end_s: float, first: float, distance: float = 0.0, run: int = 0) -> Shown:
    """Two actions, of which the first has this probability."""
    return label.update(np.array([first, 1 - first], dtype=np.float32), distance, end_s, run)


def actions(label: SteadyLabel, firsts: list[float], step_s: float = 1.0) -> list[int]:
    return [update(label, 2 + place * step_s, first).action for place, first in enumerate(firsts)]


def test_a_single_window_in_doubt_does_not_change_the_label() -> None:
    assert actions(SteadyLabel(1.0, None), [0.9, 0.9, 0.3, 0.9, 0.9]) == [0, 0, 0, 0, 0]


def test_what_lasts_changes_it_once() -> None:
    assert actions(SteadyLabel(1.0, None), [0.9, 0.9, 0.1, 0.1, 0.1]) == [0, 0, 0, 1, 1]


def test_two_actions_as_likely_as_each_other_do_not_take_turns() -> None:
    assert actions(SteadyLabel(1.0, None), [0.52, 0.48, 0.47, 0.53, 0.46, 0.46]) == [0] * 6


def test_at_every_frame_the_mean_is_over_the_same_time() -> None:
    label = SteadyLabel(1.0, None)
    shown = [update(label, 2 + place / 30, 1.0 if place < 60 else 0.0) for place in range(120)]
    assert shown[60].confidence == pytest.approx(30 / 31)
    assert [each.action for each in shown].index(1) in range(60 + 15, 60 + 20)


def test_at_the_limit_known_does_not_flicker() -> None:
    label = SteadyLabel(0.0, 1.0)
    at = [0.99, 1 + BAND / 2, 1 + 2 * BAND, 1 - BAND / 2, 1 - 2 * BAND, 1 + BAND / 2]
    shown = [update(label, 2 + place, 0.9, distance) for place, distance in enumerate(at)]
    assert [each.known for each in shown] == [True, True, False, False, True, True]
    assert [each.confidence > 0 for each in shown] == [each.known for each in shown]


def test_after_a_break_it_starts_anew() -> None:
    label = SteadyLabel(1.0, 1.0)
    update(label, 2, 0.9)
    assert update(label, 2, 0.45, run=1).action == 1
    assert not update(label, 2, 0.45, 1.01, run=2).known
