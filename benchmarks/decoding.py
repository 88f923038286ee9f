"""Clips decoded a second, against OpenCV's own loop, and the frames against ffmpeg's.

python -m benchmarks.decoding FOLDER   (real clips, such as UCF50's .avi; ffmpeg must be installed)
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.video.clips import fit_frame, load_clip, sample_indices
from actreel.video.decode import sample_frames
from actreel.video.opencv import cv2

SPEC = ClipSpec(num_frames=20, height=64, width=64)
ROUNDS = 3
COMPARED = 10
"""Clips whose frames are compared with ffmpeg's."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("artifacts/videos"))
    clips = sorted(parser.parse_args().folder.rglob("*.avi"))
    cv2.setNumThreads(1)
    seconds: dict[str, float] = {"OpenCV": 0.0, "ours": 0.0}
    equal = 0
    for clip in clips * ROUNDS:  # in turn, as other work on the machine then slows both down alike
        theirs = timed(seconds, "OpenCV", lambda clip=clip: with_opencv(clip))  # type: ignore[misc]
        ours = timed(seconds, "ours", lambda clip=clip: load_clip(clip, SPEC))  # type: ignore[misc]
        equal += np.array_equal(theirs, ours)
    for name, spent in seconds.items():
        print(f"{name}: {len(clips) * ROUNDS / spent:.1f} clips/s")
    print(f"ours takes {seconds['ours'] / seconds['OpenCV']:.3f} of OpenCV's time")
    print(f"{equal} of {len(clips) * ROUNDS} clips are equal to OpenCV's to the bit")
    if shutil.which("ffmpeg"):
        apart = max(from_ffmpeg(clip) for clip in clips[:: max(1, len(clips) // COMPARED)])
        print(f"mean difference to ffmpeg's frames: at most {apart:.3f} grey levels")


def timed(seconds: dict[str, float], name: str, decode: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    start = time.process_time()
    frames = decode()
    seconds[name] += time.process_time() - start
    return frames


def with_opencv(path: Path, num_frames: int = 0) -> NDArray[np.uint8]:
    """What this project did before: `grab` for every frame, `retrieve` for the wanted ones, again if there are more."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    claimed = num_frames or int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = sample_indices(claimed, SPEC).tolist()
    frames: list[NDArray[np.uint8]] = []
    position = 0
    while capture.grab():
        capture.get(cv2.CAP_PROP_POS_MSEC)
        if position in wanted:
            frame = fit_frame(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB), SPEC)
            frames += [frame] * wanted.count(position)
        position += 1
    return np.stack(frames) if position == claimed else with_opencv(path, position)


def from_ffmpeg(path: Path) -> float:
    """Mean difference of all frames to those of the program ffmpeg."""
    frames, _ = sample_frames(path, np.arange, lambda frame: frame)
    command = ["ffmpeg", "-v", "error", "-i", path, "-vsync", "0", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return float(np.abs(frames - np.frombuffer(raw, dtype=np.uint8).reshape(frames.shape).astype(np.int16)).mean())


if __name__ == "__main__":
    main()
