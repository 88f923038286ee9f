from __future__ import annotations

import numpy as np
import pytest

from serving.camera.messages import HEADER, ClosedError, read_frame


def test_a_frame_is_read() -> None:
    pixels = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    frame = read_frame(HEADER.pack(12.5, 4, 2) + pixels.tobytes(), max_bytes=24)
    assert frame.captured_ms == 12.5
    np.testing.assert_array_equal(frame.pixels, pixels)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "bad_frame"),
        (HEADER.pack(0, 0, 0), "bad_frame"),
        (HEADER.pack(0, 4, 2), "bad_frame"),
        (HEADER.pack(0, 4, 2) + bytes(23), "bad_frame"),
        (HEADER.pack(0, 2, 2) + bytes(24), "bad_frame"),
        (HEADER.pack(0, 65535, 65535) + bytes(3), "bad_frame"),
        (HEADER.pack(0, 4, 0) + bytes(24), "bad_frame"),
        (HEADER.pack(float("nan"), 4, 2) + bytes(24), "bad_frame"),
        (HEADER.pack(float("inf"), 4, 2) + bytes(24), "bad_frame"),
        (HEADER.pack(-1, 4, 2) + bytes(24), "bad_frame"),
        (HEADER.pack(1e300, 4, 2) + bytes(24), "bad_frame"),
        (HEADER.pack(0, 5, 2) + bytes(30), "too_large"),
    ],
)
def test_anything_else_is_refused(message: bytes, code: str) -> None:
    with pytest.raises(ClosedError) as refused:
        read_frame(message, max_bytes=24)
    assert refused.value.problem.code == code
