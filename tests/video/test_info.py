from pathlib import Path

import pytest

from actreel.errors import VideoLimitError
from actreel.inference.windows import window_passes
from actreel.video.info import VideoLimits
from tests.inference.test_windows import spec_of

NO_LIMITS = VideoLimits(max_pixels=10**9, max_frames=10**9, max_duration_s=1e9)


def decode(video: Path, limits: VideoLimits) -> None:
    for attempt in window_passes(video, spec_of(8), None, limits):
        for _ in attempt.frames():
            pass


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_pixels": 1000}, "Received: 64x48"),
        ({"max_frames": 20}, "Received: 30"),
        ({"max_duration_s": 1.0}, "Received: 1 s"),
    ],
)
def test_a_video_beyond_the_limits_is_refused(video: Path, limits: dict[str, float], words: str) -> None:
    with pytest.raises(VideoLimitError, match=words):
        decode(video, VideoLimits(**{**vars(NO_LIMITS), **limits}))


def test_more_frames_than_the_header_says_are_still_counted(video: Path) -> None:
    data = bytearray(video.read_bytes())
    for field in (data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32):
        data[field : field + 4] = (5).to_bytes(4, "little")
    data[data.index(b"idx1") : data.index(b"idx1") + 4] = b"JUNK"
    video.write_bytes(data)
    with pytest.raises(VideoLimitError, match="at most 20 frames"):
        decode(video, VideoLimits(10**9, 20, 1e9))
