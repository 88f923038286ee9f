from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.dataset.demo.film import draw_frames
from actreel.dataset.demo.motions import MOTIONS, ORDERED_PAIRS
from actreel.dataset.demo.performers import draw_group
from actreel.video.opencv import cv2


@pytest.mark.parametrize(("first", "second"), ORDERED_PAIRS)
def test_a_pair_differs_in_order_and_in_nothing_else(first: str, second: str) -> None:
    """Whoever sees all frames of a clip, but not their order, must guess; the order tells."""
    group = draw_group(np.random.default_rng(1), mirrored=False)
    blind, ordered = [], []
    for action in (first, second):
        rng = np.random.default_rng(3)  # the same takes of both, as far as the order goes
        for _ in range(16):
            frames = np.stack([cv2.resize(frame, (16, 12)) for frame in draw_frames(MOTIONS[action], group, rng)])
            half = len(frames) // 2
            blind.append(np.concatenate((frames.mean(axis=0), frames.std(axis=0))).ravel())
            ordered.append((frames[half:].mean(axis=0) - frames[:half].mean(axis=0)).ravel())
    assert guessed_right(np.stack(blind)) <= 0.7
    assert guessed_right(np.stack(ordered)) == 1


def guessed_right(features: NDArray[np.float64]) -> float:
    """Share of clips whose half of the rows is told by the nearest mean of the other clips."""
    labels = np.repeat((0, 1), len(features) // 2)
    right = 0
    for row, label in enumerate(labels):
        others = np.arange(len(features)) != row
        means = [features[others & (labels == side)].mean(axis=0) for side in (0, 1)]
        right += int(np.argmin([np.linalg.norm(features[row] - mean) for mean in means]) == label)
    return right / len(features)
