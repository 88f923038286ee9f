import numpy as np
import pytest

from actreel.video.looks import Brightness


def test_brightness_is_the_mean_of_all_frames_however_they_come() -> None:
    frames = np.random.default_rng(3).integers(0, 256, (7, 8, 9, 3)).astype(np.uint8)
    brightness = Brightness()
    assert brightness.mean == 0
    for part in (frames[:2], frames[2:3], frames[3:]):
        brightness.add(part)
    assert brightness.mean == pytest.approx(frames.mean() / 255)
