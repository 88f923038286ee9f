from pathlib import Path

import numpy as np
import pytest

from actreel.errors import VideoError
from actreel.video.orientation import Orientation, orientation_of

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def matrix(a: float, b: float, c: float, d: float) -> bytes:
    return np.array([a * 65536, b * 65536, 0, c * 65536, d * 65536, 0, 0, 0, 1 << 30], dtype=np.int32).tobytes()


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("scale", [1, 2])
def test_turns_are_clockwise(quarters: int, scale: int) -> None:
    a, b = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters]
    shown = orientation_of(matrix(a * scale, b * scale, -b * scale, a * scale), Path("v")).apply(PIXELS)
    np.testing.assert_array_equal(shown, np.rot90(PIXELS, -quarters))
    assert shown.flags.c_contiguous


def test_mirrored_frames() -> None:
    np.testing.assert_array_equal(orientation_of(matrix(-1, 0, 0, 1), Path("v")).apply(PIXELS), PIXELS[:, ::-1])
    np.testing.assert_array_equal(orientation_of(matrix(1, 0, 0, -1), Path("v")).apply(PIXELS), PIXELS[::-1])


def test_frames_without_a_turn_stay_as_they_are() -> None:
    assert orientation_of(None, Path("v")) == Orientation()
    assert orientation_of(matrix(0, 0, 0, 0), Path("v")) == Orientation()
    assert orientation_of(matrix(1, 0.01, -0.01, 1), Path("v")).apply(PIXELS) is PIXELS


@pytest.mark.parametrize("values", [(0.7, 0.7, -0.7, 0.7), (1, 0.1, -0.1, 1)])
def test_other_angles_are_refused(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(VideoError, match=r"multiple of 90 degrees.*'v'"):
        orientation_of(matrix(*values), Path("v"))
