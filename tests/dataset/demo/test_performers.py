from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.dataset.demo.conftest import GROUPS, read


def test_a_group_is_one_place_and_groups_differ(rendered: Path) -> None:
    walls, rates = {}, {}
    for action in ("Wave", "PushUps"):
        for group in range(1, GROUPS + 1):
            frames, rates[action, group] = read(rendered / action / f"v_{action}_g{group:02}_c01.avi")
            walls[action, group] = np.median(frames[:, :12], axis=(0, 1, 2))  # the wall colour above all heads
    for group in range(1, GROUPS + 1):
        assert rates["Wave", group] == rates["PushUps", group]
        assert np.abs(walls["Wave", group] - walls["PushUps", group]).max() <= 3
    assert len(set(rates.values())) > 1
    for group, other in ((1, 2), (2, 3), (1, 3)):
        assert np.abs(walls["Wave", group] - walls["Wave", other]).max() > 3
