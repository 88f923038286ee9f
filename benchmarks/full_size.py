"""The whole pipeline on a folder of UCF50's size: seconds of each stage, memory, disk, and a run with nothing to do.

python -m benchmarks.full_size FOLDER [--recipe auto] [--into DIRECTORY] [--clips 6340]

FOLDER holds real clips. Each clip of the large folder is a part of one of them, with its colours turned, so that no two
are equal: the figures are costs, and the accuracy means nothing. The large folder is made once and takes 4 GB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from actreel.base.atomic import written_aside
from actreel.base.cores import num_cores
from actreel.dataset.parallel import map_on_cores
from actreel.video.opencv import cv2

ROOT = Path(__file__).parents[1]
ACTIONS, GROUPS = 50, 25
FRAMES, HEIGHT, WIDTH, FPS = 182, 240, 320, 25.0
"""UCF50's frame size and rate, and its mean number of frames."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_size", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--into", type=Path, default=Path("full_size"))
    parser.add_argument("--clips", type=int, default=6340)
    options = parser.parse_args()
    sources = sorted(options.folder.rglob("*.avi"))
    videos = options.into.absolute() / "videos"
    missing = [number for number in range(options.clips) if not clip_path(videos, number).exists()]
    for _ in map_on_cores(partial(write_clip, sources, videos), missing, label="write"):
        pass
    size = sum(path.stat().st_size for path in videos.rglob("*.avi"))
    print(f"{options.clips} clips of {FRAMES} frames, {WIDTH}x{HEIGHT}, {size / 1e9:.1f} GB, {num_cores()} cores")
    project = options.into.absolute() / options.recipe
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    learn = ("-m", "pipelines.learn", "--recipe", options.recipe, "--", str(videos))
    seconds, memory = run(project, *learn)
    for stage, spent in seconds.items():
        print(f"{stage}: {spent:.0f} s")
    print(f"in all: {sum(seconds.values()) / 60:.1f} min, {memory / 1e9:.2f} GB of memory at most")
    videos_on_disk = disk(videos)  # the project links to them
    beyond = sum(size for file, size in disk(project).items() if file not in videos_on_disk)
    print(f"workspace: {beyond / 1e9:.2f} GB beyond the videos")
    again, _ = run(project, "-m", "dvc", "repro")
    print(f"dvc repro with nothing to do: {sum(again.values()):.1f} s")


def clip_path(videos: Path, number: int) -> Path:
    """The path of a clip in UCF50's naming."""
    action, take = f"Action{number % ACTIONS:02d}", number // ACTIONS
    return videos / action / f"v_{action}_g{take % GROUPS + 1:02d}_c{take // GROUPS + 1:02d}.avi"


def write_clip(sources: list[Path], videos: Path, number: int) -> None:
    """Writes one clip: the same part of the same source for all clips of a group, each from another moment on."""
    path = clip_path(videos, number)
    action, group = number % ACTIONS, number // ACTIONS % GROUPS
    rng = np.random.default_rng([action, group])
    source = decoded(sources[(action + ACTIONS * int(rng.integers(len(sources)))) % len(sources)])
    share = rng.uniform(0.5, 0.8)
    top, left = rng.uniform(0, 1 - share, 2)
    turned, mirrored = rng.permutation(3), bool(rng.integers(2))
    start = int(np.random.default_rng(number).integers(len(source)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        writer = cv2.VideoWriter(str(aside), cv2.VideoWriter.fourcc(*"XVID"), FPS, (WIDTH, HEIGHT))
        for place in range(start, start + FRAMES):
            frame = source[place % len(source)]
            height, width = frame.shape[:2]
            y, x = int(top * height), int(left * width)
            part = frame[y : y + int(share * height), x : x + int(share * width), turned]
            part = cv2.resize(part[:, ::-1] if mirrored else part, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
            writer.write(np.ascontiguousarray(part))
        writer.release()


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """All frames of a video: uint8 (H, W, 3) each."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def run(project: Path, *arguments: str) -> tuple[dict[str, float], int]:
    """Runs a Python command in the project.

    Returns:
        Seconds by stage, and the peak resident bytes of the command and its children together: pages that processes
        share are counted once per process, so the true peak is lower.
    """
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the stages run `python`
    mine = {"PATH": commands, "PYTHONPATH": str(project / "src"), "BENTOML_HOME": str(project / "bentoml")}
    env = {**os.environ, **mine}
    most = 0
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=project, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:

        def watch() -> None:
            nonlocal most
            while process.poll() is None:
                most = max(most, resident(process.pid))
                time.sleep(0.2)

        watcher = threading.Thread(target=watch)
        watcher.start()
        seconds = seconds_by_stage(process.stdout or [])
        process.wait()
        watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed")
    return seconds, most


def resident(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    held = 0
    try:
        root = psutil.Process(pid)
        for one in (root, *root.children(recursive=True)):
            held += one.memory_info().rss
    except psutil.NoSuchProcess:  # it has ended since it was listed
        pass
    return held


def seconds_by_stage(lines: Iterator[str] | list[str]) -> dict[str, float]:
    """Prints DVC's output as it comes; the seconds from each stage's first line to the next one's."""
    seconds: dict[str, float] = defaultdict(float)
    stage, began = "start", time.perf_counter()
    for line in lines:
        print(f"  {line}", end="", flush=True)
        now = time.perf_counter()
        seconds[stage] += now - began
        began = now
        if line.startswith("Running stage "):
            stage = line.split("'")[1]
    seconds[stage] += time.perf_counter() - began
    return dict(seconds)


def disk(folder: Path) -> dict[int, int]:
    """Bytes on disk by file, as inode numbers: a file with several names is there once."""
    return {(status := path.lstat()).st_ino: status.st_blocks * 512 for path in folder.rglob("*")}


if __name__ == "__main__":
    main()
