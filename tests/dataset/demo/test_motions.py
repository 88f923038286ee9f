from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from actreel.base.places import UNKNOWN
from actreel.dataset.demo.motions import ACTIONS, MOTIONS, ORDERED_PAIRS, UNKNOWN_MOTIONS, play
from actreel.dataset.demo.performers import draw_group


def test_pairs_are_of_actions() -> None:
    paired = [action for pair in ORDERED_PAIRS for action in pair]
    assert len(set(paired)) == len(paired) == 4
    assert {*paired} < {*ACTIONS}
    assert UNKNOWN not in ACTIONS


@pytest.mark.parametrize(("first", "second"), ORDERED_PAIRS)
def test_one_action_of_a_pair_is_the_other_in_reverse(first: str, second: str) -> None:
    assert replace(MOTIONS[second], backward=False) == MOTIONS[first]
    group = draw_group(np.random.default_rng(1), mirrored=False)
    forward, backward = (play(MOTIONS[action], group, np.random.default_rng(2), 40) for action in (first, second))
    assert not np.array_equal(forward, backward)
    np.testing.assert_array_equal(backward, forward[::-1])


def test_the_unknown_motions_are_none_of_the_actions() -> None:
    assert UNKNOWN_MOTIONS.count(None) == 1
    assert not {*UNKNOWN_MOTIONS} & {*MOTIONS.values()}
