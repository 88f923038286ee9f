from pathlib import Path

import numpy as np
import pytest

from actreel.errors import VideoError, VideoLimitError
from actreel.video.decode import decode_passes, probe, sample_frames
from actreel.video.info import VideoLimits
from actreel.video.opencv import cv2
from tests.conftest import grey_frames, write_video_file


def test_probe_tells_what_the_file_holds(video: Path) -> None:
    info = probe(video)
    assert (info.num_frames, info.header_frames, info.width, info.height) == (30, 30, 64, 48)
    assert (info.fps, info.duration_s, info.codec) == (25.0, 1.2, "MJPG")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "MJPG"), ("a.webm", "VP80")]
)
def test_containers(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video_file(tmp_path / name, grey_frames(range(0, 120, 10)), codec=codec)
    assert probe(path).num_frames == 12


def test_sampled_frames_are_those_of_a_plain_decode(video: Path) -> None:
    capture = cv2.VideoCapture(str(video))
    plain = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(30)]
    wanted = np.array([0, 3, 3, 17, 29])
    frames, info = sample_frames(video, lambda num_frames: wanted, lambda frame: frame)
    np.testing.assert_array_equal(frames, [plain[place] for place in wanted])
    assert info == probe(video)


def test_colours_are_rgb(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), dtype=np.uint8)
    red[..., 0] = 250
    path = write_video_file(tmp_path / "red.avi", [red] * 3)
    frames, _ = sample_frames(path, lambda num_frames: np.array([1]), lambda frame: frame)
    red_level, green, blue = frames[0].reshape(-1, 3).mean(axis=0)
    assert red_level > 200
    assert max(green, blue) < 60


def _with_header_frames(path: Path, claimed: int) -> Path:
    """Rewrites the frame counts of an AVI's headers (avih and strh), leaving its frames alone."""
    data = bytearray(path.read_bytes())
    data[data.index(b"avih") + 24 : data.index(b"avih") + 28] = claimed.to_bytes(4, "little")
    strh = data.index(b"strh")
    data[strh + 40 : strh + 44] = claimed.to_bytes(4, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("claimed", [3, 500])
def test_what_decodes_counts_not_what_the_header_claims(video: Path, claimed: int) -> None:
    expected, _ = sample_frames(video, lambda n: np.array([0, n // 2, n - 1]), lambda frame: frame)
    _with_header_frames(video, claimed)
    info = probe(video)
    assert (info.num_frames, info.header_frames) == (30, claimed)
    frames, _ = sample_frames(video, lambda n: np.array([0, n // 2, n - 1]), lambda frame: frame)
    np.testing.assert_array_equal(frames, expected)


def test_a_truncated_file_gives_the_frames_that_are_there(video: Path) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    assert 0 < probe(video).num_frames < 30


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no video at all" * 100])
def test_a_file_that_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.avi"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"broken\.avi"):
        probe(path)


def test_a_video_without_frames_is_named(tmp_path: Path, video: Path) -> None:
    data = video.read_bytes()
    path = tmp_path / "empty.avi"
    path.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(VideoError, match=r"empty\.avi"):
        probe(path)


@pytest.mark.parametrize("path", ["missing.avi", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(VideoError, match="must be a file"):
        probe(tmp_path / path)


def test_a_name_is_never_taken_for_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_video_file(tmp_path / "plain.avi", grey_frames([10, 20]))
    path.rename(tmp_path / "concat:x|y.avi")
    assert probe(Path("concat:x|y.avi")).num_frames == 2


def test_decoding_stops_at_the_most_frames_that_are_allowed(video: Path) -> None:
    def decode(max_frames: int) -> int:
        return sum(
            len(list(attempt.frames(np.array([0]), lambda frame: frame)))
            for attempt in decode_passes(video, VideoLimits(10**9, max_frames, 1e9))
        )

    assert decode(30) == 1
    with pytest.raises(VideoLimitError, match="at most 29 frames"):
        decode(29)
