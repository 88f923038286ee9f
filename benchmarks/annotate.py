"""`actreel annotate`: how many times faster than real time, and memory, beside the program ffmpeg, which only encodes.

python -m benchmarks.annotate [--minutes 10] [--encoder small_cnn]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.serving import write_video
from benchmarks.untrained import SIDES
from benchmarks.watch import FPS, record_memory, written_model


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.annotate", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long the video is (default: %(default)s)")
    parser.add_argument("--encoder", choices=SIDES, default="small_cnn", help="(default: %(default)s)")
    options = parser.parse_args()
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory() as scratch:
        film = write_video(Path(scratch) / "film.avi", round(seconds * FPS), FPS)
        model = written_model(options.encoder, Path(scratch) / "model")
        code = "from actreel.cli import main; main()"
        ours = [sys.executable, "-c", code, "annotate", str(film), f"{scratch}/out.mp4", "--model", str(model)]
        report("annotate", ours, seconds)
        if shutil.which("ffmpeg"):
            theirs = [
                "ffmpeg",
                "-v",
                "error",
                "-i",
                str(film),
                "-preset",
                "veryfast",
                "-crf",
                "20",
                f"{scratch}/theirs.mp4",
            ]
            report("ffmpeg, encoding alone", theirs, seconds)


def report(name: str, command: list[str], seconds: float) -> None:
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory: list[tuple[float, float]] = []
    threading.Thread(target=record_memory, args=(process.pid, memory), daemon=True).start()
    if process.wait():
        sys.exit(f"error: {name} ended with {process.returncode}")
    took = time.perf_counter() - started
    sizes = [rss for _, rss in memory]
    thirds = [max(sizes[part * len(sizes) // 3 :][: max(1, len(sizes) // 3)]) for part in range(3)]
    print(f"{name}: {took:.1f} s for {seconds:.0f} s of video, {seconds / took:.1f} times faster than real time")
    print(f"  memory, most in each third of the time: {', '.join(f'{size:.0f}' for size in thirds)} MB")


if __name__ == "__main__":
    main()
