"""Time and memory of the stages index and validate on a dataset as large as UCF50.

python -m benchmarks.index [--clips 6650]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from actreel.base.cores import num_cores
from actreel.dataset.parallel import map_on_cores
from actreel.video.opencv import cv2

ROOT = Path(__file__).parents[1]
ACTIONS, GROUPS = 50, 25
FRAMES, HEIGHT, WIDTH = 10, 48, 64
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index", description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=6650)
    clips = parser.parse_args().clips
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch)
        (project / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        videos = project / "artifacts" / "videos"
        size = sum(map_on_cores(partial(write_clip, videos), range(clips), label="write"))
        print(f"{clips} clips of {FRAMES} frames, {WIDTH}x{HEIGHT}, {size / 1e6:.0f} MB, {num_cores()} cores")
        for stage in ("index", "validate"):
            seconds, memory = measure([sys.executable, "-m", f"pipelines.{stage}"], project)
            print(f"{stage}: {seconds:.1f} s, {clips / seconds:.0f} clips/s, {memory / 1e6:.0f} MB peak")


def write_clip(videos: Path, number: int) -> int:
    """Writes one clip with content of its own; returns its size in bytes."""
    action, take = f"Action{number % ACTIONS:02d}", number // ACTIONS
    path = videos / action / f"v_{action}_g{take % GROUPS + 1:02d}_c{take // GROUPS + 1:02d}.avi"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), 25.0, (WIDTH, HEIGHT))
    coarse = np.random.default_rng(number).integers(0, 255, (FRAMES, 6, 8, 3), dtype=np.uint8)
    for frame in coarse:
        writer.write(cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))
    writer.release()
    return path.stat().st_size


def measure(command: list[str], folder: Path) -> tuple[float, int]:
    """Seconds that a command takes, and the peak resident bytes of it and its children together.

    Pages that processes share are counted once per process, so the true peak is lower.
    """
    most = 0
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=ENVIRONMENT) as process:

        def watch() -> None:
            nonlocal most
            root = psutil.Process(process.pid)
            while process.poll() is None:
                held = 0
                try:
                    for one in [root, *root.children(recursive=True)]:
                        held += one.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
                most = max(most, held)
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - began, most


if __name__ == "__main__":
    main()
