import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.errors import ModelError
from actreel.inference.clip_encoding import FrameWindows, SharedWindows


@pytest.mark.parametrize(
    ("frames", "stride", "clip_frames", "hop", "starts"),
    [
        (16, 1, 32, 8, [0, 8, 16]),
        (16, 1, 20, 5, [2]),
        (16, 1, 16, 8, [0]),
        (8, 2, 20, 5, [0, 5]),
        (8, 1, 20, 2, [0, 2, 4, 6, 8, 10, 12]),
        (1, 1, 3, 1, [0, 1, 2]),
        (2, 3, 9, 2, [0, 2, 4]),
        (4, 1, 7, 1, [0, 1, 2, 3]),
    ],
)
def test_windows_cover_a_clip_and_their_hop_divides_half_of_it(
    frames: int, stride: int, clip_frames: int, hop: int, starts: list[int]
) -> None:
    windows = FrameWindows(frames, stride, clip_frames)
    assert windows.hop == hop
    assert max(1, clip_frames // 2) % windows.hop == 0
    assert windows.starts.tolist() == starts
    assert windows.indices.shape == (len(starts), frames)
    assert windows.indices[-1].max() == windows.ends[-1] < clip_frames
    # What is left over is less than a hop, and as long before as after.
    before, after = starts[0], clip_frames - 1 - int(windows.ends[-1])
    assert before <= after <= before + 1
    assert before + after < hop


def test_a_clip_with_fewer_frames_than_a_window_is_refused_with_what_to_set() -> None:
    with pytest.raises(ModelError) as caught:
        FrameWindows(8, 2, 14)
    assert "as its encoder sees at once: 15, for 8 frames at a stride of 2. Received: clip.num_frames 14" in str(
        caught.value
    )
    assert str(caught.value).endswith("Try: dvc exp run -S clip.num_frames=30")


@pytest.mark.parametrize(("frames", "stride", "clip_frames"), [(4, 1, 8), (3, 2, 9), (8, 1, 8), (1, 1, 4), (2, 3, 7)])
def test_overlapping_clips_of_a_long_video_share_windows_that_are_encoded_once(
    frames: int, stride: int, clip_frames: int
) -> None:
    windows = FrameWindows(frames, stride, clip_frames)
    video = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1) + np.zeros((1, 1, 1, 3), dtype=np.uint8)
    encoded: list[tuple[int, ...]] = []

    def run(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert clips.shape[1:] == (frames, 1, 1, 3)
        encoded.extend(tuple(clip) for clip in clips[:, :, 0, 0, 0].tolist())
        return np.stack([clips[:, 0, 0, 0, 0], clips[:, -1, 0, 0, 0]], axis=1).astype(np.float32)

    starts = range(0, 40 - clip_frames + 1, max(1, clip_frames // 2))
    shared = SharedWindows(windows, run)
    given = [shared.encode(video[start : start + clip_frames]) for start in starts]
    assert len(encoded) == len(set(encoded))
    for start, vectors in zip(starts, given, strict=True):
        np.testing.assert_array_equal(vectors, windows.encode(video[start : start + clip_frames], run))


def test_frames_that_are_held_are_encoded_once_and_windows_are_forgotten_after_the_next_clip() -> None:
    runs: list[int] = []

    def run(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        runs.append(int(clips[0, 0, 0, 0, 0]))
        return clips[:, 0, 0, 0].astype(np.float32)

    shared = SharedWindows(FrameWindows(2, 1, 8), run)
    dark, bright = (np.full((8, 1, 1, 3), level, dtype=np.uint8) for level in (0, 9))
    for clip in (dark, dark, bright, dark):
        shared.encode(clip)
    assert runs == [0, 9, 0]
