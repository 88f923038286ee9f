"""`actreel watch` on a file played as live, 320x240 at 30 frames a second: lag, latency and memory over time.

`small_cnn` answers with every frame, `efficientnet_lite0` twice a window; windows of 2 s, so a hop is 1 s. The models
are untrained, and as fast as trained ones.

python -m benchmarks.watch [--minutes 10 | --seconds 600] [--encoder small_cnn | efficientnet_lite0]

Each line of what must hold ends with `holds` or `DOES NOT HOLD`, and so does the exit code.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.serving import write_video
from benchmarks.untrained import SIDES

FPS = 30
WINDOW_S = 2.0
MEMORY_EVERY_S = 1.0
SETTLED = 0.1
"""The share of the time after which memory must be flat: of 10 minutes, the first."""
FLAT_MB = 5.0
MOST_MEDIAN_MS = 150.0
HOP_MS = WINDOW_S / 2 * 1000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description=__doc__.splitlines()[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=10, help="how long the file is (default: %(default)s)")
    length.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--encoder", choices=SIDES, help="only this one (default: both)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        seconds = options.minutes * 60 if options.seconds is None else options.seconds
        film = write_video(Path(scratch) / "film.avi", round(seconds * FPS), FPS)
        encoders = [options.encoder] if options.encoder else SIDES
        held = [measure(film, written_model(encoder, Path(scratch) / encoder), encoder) for encoder in encoders]
    if not all(held):
        sys.exit(1)


def written_model(encoder: str, folder: Path, clip_duration_s: float = WINDOW_S) -> Path:
    """An untrained model, written by another process: TensorFlow stays there."""
    code = "import sys; from pathlib import Path; from benchmarks.untrained import write_model; "
    code += "write_model(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))"
    command = [sys.executable, "-c", code, encoder, str(folder), str(clip_duration_s)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def measure(film: Path, model: Path, encoder: str) -> bool:
    """Whether all holds that must."""
    every_frame = ["--every-frame"] if encoder == "small_cnn" else []
    code = "from actreel.cli import main; main()"
    command = [sys.executable, "-c", code, "watch", str(film), "--model", str(model), "--json", *every_frame]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    memory: list[tuple[float, float]] = []
    threading.Thread(target=record_memory, args=(process.pid, memory), daemon=True).start()
    lags, behind = [], []
    for line in process.stdout or ():
        sight = json.loads(line)
        lags.append(sight["lag_ms"])
        behind.append(time.monotonic() - sight["end_s"])
    if process.wait():
        sys.exit(f"error: watch ended with {process.returncode}")
    lags.sort()
    print(f"{encoder}, {'every frame' if every_frame else 'twice a window'}: {len(lags)} answers")
    print(
        f"  lag, from the end of a window to its answer: median {statistics.median(lags):.1f} ms, 99 % "
        f"{lags[len(lags) * 99 // 100]:.1f} ms, most {lags[-1]:.1f} ms; a hop is {HOP_MS:.0f} ms"
    )
    spread = (max(behind) - min(behind)) * 1000
    print(f"  by the reader's clock: the latest answer came {spread:.1f} ms later than the earliest")
    print(f"  dropped: {sight['dropped']} frames")
    start, end = memory[0][0], memory[-1][0]
    settled = [rss for at, rss in memory if at - start >= SETTLED * (end - start)]
    print(
        f"  memory: {settled[0]:.1f} MB after {SETTLED * (end - start):.0f} s; from then on {min(settled):.1f} to "
        f"{max(settled):.1f} MB, {settled[-1]:.1f} at the end"
    )
    held = {
        f"the median is below {MOST_MEDIAN_MS:g} ms": statistics.median(lags) < MOST_MEDIAN_MS,
        f"the lag is below a hop, {HOP_MS:.0f} ms, all the time": lags[-1] < HOP_MS,
        f"memory stays within {FLAT_MB:g} MB": max(settled) - min(settled) <= FLAT_MB,
    }
    for what, holds in held.items():
        print(f"  {what}: {'holds' if holds else 'DOES NOT HOLD'}", flush=True)
    return all(held.values())


def record_memory(pid: int, found: list[tuple[float, float]]) -> None:
    """Appends time and resident MB of a process and its children until it ends."""
    try:
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            family = [process, *process.children(recursive=True)]
            found.append((time.monotonic(), sum(each.memory_info().rss for each in family) / 1e6))
            time.sleep(MEMORY_EVERY_S)
    except psutil.Error:
        return


if __name__ == "__main__":
    main()
