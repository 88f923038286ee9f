from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.dataset.duplicates import near_duplicates
from actreel.dataset.fingerprints import frame_hash, probe_with_fingerprint
from actreel.video.decode import probe
from actreel.video.opencv import cv2
from tests.conftest import write_video_file


def scenery(seed: int, num_frames: int = 12) -> list[np.ndarray]:
    """A still scene with something that moves through it."""
    rng = np.random.default_rng(seed)
    scene = cv2.resize(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    frames = []
    for number in range(num_frames):
        frame = scene.copy()
        cv2.circle(frame, (20 + 20 * number, 120), 25, (255, 255, 255), -1)
        frames.append(frame)
    return frames


@pytest.fixture
def index(tmp_path: Path) -> pd.DataFrame:
    shrunk = [cv2.resize(frame, (160, 120), interpolation=cv2.INTER_AREA) for frame in scenery(1)]
    videos = {
        "a/first.avi": ("train", scenery(1), "MJPG"),
        "a/shrunk.mp4": ("test", shrunk, "mp4v"),
        "a/other.avi": ("test", scenery(2), "MJPG"),
        "b/same_split.avi": ("train", scenery(1), "MJPG"),
    }
    rows = []
    for clip, (split, frames, codec) in videos.items():
        _, fingerprint, _ = probe_with_fingerprint(write_video_file(tmp_path / clip, frames, codec=codec))
        rows.append({"clip": clip, "split": split, "fingerprint": fingerprint})
    return pd.DataFrame(rows)


def test_the_same_footage_shrunk_and_encoded_anew_is_found_across_splits(index: pd.DataFrame) -> None:
    pairs = near_duplicates(index, bits=4)
    assert set(zip(pairs["clip"], pairs["other"], strict=True)) == {
        ("a/first.avi", "a/shrunk.mp4"),
        ("a/shrunk.mp4", "b/same_split.avi"),
    }
    assert (pairs["bits"] <= 4).all()


def test_other_footage_is_far(index: pd.DataFrame) -> None:
    distances = near_duplicates(index, bits=64)
    assert distances.loc[distances["other"] == "a/other.avi", "bits"].min() > 12


def test_the_same_pass_tells_what_probe_tells(tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "video.avi", scenery(3))
    info, fingerprint, small = probe_with_fingerprint(path)
    assert info == probe(path)
    assert len(bytes.fromhex(fingerprint)) == 24
    frames = np.frombuffer(small, np.uint8).reshape(9, 16, 16)
    assert frames[:, 8].argmax(axis=1).tolist() == sorted(frames[:, 8].argmax(axis=1)), "the ball moves to the right"


def test_brightness_does_not_change_the_hash() -> None:
    frame = scenery(4)[0]
    bits = np.unpackbits(frame_hash(frame) ^ frame_hash((frame * 0.7).astype(np.uint8))).sum()
    assert bits <= 3
