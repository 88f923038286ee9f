"""`actreel batch` with one process and with two, beside decoding alone, and killed five times on the way.

python -m benchmarks.batch [FOLDER] [--encoder small_cnn] [--clips 2000]

FOLDER holds real clips (without it: the demo's are made); links to them stand in for an archive. The network is
untrained, which takes as long. Each line of what must hold ends with `holds` or `DOES NOT HOLD`, and so does the exit
code.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pyarrow.dataset

from actreel.batch.crews import local_crew
from actreel.batch.items import read_items
from actreel.batch.run import run_batch
from actreel.config import ClipSpec
from actreel.dataset.demo import render_demo
from actreel.dataset.parallel import map_on_cores
from actreel.inference.classifier import ActionClassifier
from actreel.inference.windows import window_passes
from actreel.video.endings import is_video
from benchmarks.watch import written_model

KILLED_AFTER = (0.1, 0.3, 0.1, 0.3, 0.1)
"""Shares of the time of the whole: some runs have written a part of the rows when they are killed, and some none."""
LEAST_SPEEDUP = 1.8
MOST_ABOVE_DECODING = 1.1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="real clips (default: the demo's)")
    parser.add_argument("--encoder", default="small_cnn")
    parser.add_argument("--clips", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model, archive = Path(scratch, "model"), Path(scratch, "archive")
        written_model(options.encoder, model, clip_duration_s=7.0)
        archive.mkdir()
        folder = options.folder or Path(scratch, "demo")
        if not options.folder:
            render_demo(folder)
        found = sorted(path for path in folder.rglob("*") if is_video(path))
        for number, path in enumerate(islice(cycle(found), options.clips)):
            (archive / f"{number:05d}{path.suffix}").symlink_to(path.absolute())
        began = time.perf_counter()
        held = measure(read_items(str(archive)), model, Path(scratch))
        print(f"{time.perf_counter() - began:.0f} s in all")
    if not held:
        sys.exit(1)


def measure(items: list[str], model: Path, scratch: Path) -> bool:
    card = ActionClassifier.load(model).card
    limit = timed(decode_all, items, card.clip, card.clip_duration_s)
    print(f"decoding alone, two processes: {len(items) / limit:.1f} clips/s", flush=True)
    seconds = {}
    for workers in (1, 2):
        seconds[workers] = timed(run_batch, items, str(scratch / f"out{workers}"), model, local_crew(workers))
        print(f"batch, processes: {workers}: {len(items) / seconds[workers]:.1f} clips/s", flush=True)
    again = timed(run_batch, items, str(scratch / "out2"), model, local_crew(2))
    print(f"again, with nothing to do: {again:.1f} s", flush=True)
    killed = kill_on_the_way(items, scratch / "killed", model, seconds[2])
    expected = rows(scratch / "out2")
    speedup, above = seconds[1] / seconds[2], seconds[2] / limit
    held = {
        f"two processes are {speedup:.2f} times as fast as one, at least {LEAST_SPEEDUP}": speedup >= LEAST_SPEEDUP,
        f"the whole takes {above:.2f} times as long as decoding, at most {MOST_ABOVE_DECODING}": (
            above <= MOST_ABOVE_DECODING
        ),
        f"one process gives the same {len(expected)} rows": rows(scratch / "out1") == expected,
        f"{killed} kills, of {len(KILLED_AFTER)}, met a running batch": killed == len(KILLED_AFTER),
        "killed, then finished, it gives the same rows": rows(scratch / "killed") == expected,
    }
    for what, holds in held.items():
        print(f"{what}: {'holds' if holds else 'DOES NOT HOLD'}")
    return all(held.values())


def timed(function, *arguments) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def decode_all(items: list[str], spec: ClipSpec, clip_duration_s: float | None) -> None:
    function = partial(decode, spec=spec, clip_duration_s=clip_duration_s)
    for _ in map_on_cores(function, items, label="decode", workers=2):
        pass


def decode(item: str, spec: ClipSpec, clip_duration_s: float | None) -> int:
    frames = 0
    for attempt in window_passes(Path(item), spec, clip_duration_s):
        frames = sum(len(frames) for frames, _ in attempt.batches(attempt.plan.hop))
    return frames


def kill_on_the_way(items: list[str], out: Path, model: Path, whole_s: float) -> int:
    """Kills runs of a batch, then lets one end; returns how many were killed before their end."""
    spawn, killed = multiprocessing.get_context("spawn"), 0
    for share in KILLED_AFTER:
        process = spawn.Process(target=run_alone, args=(items, str(out), model))
        process.start()
        process.join(share * whole_s)
        killed += process.is_alive()
        process.kill()
        process.join()
        done = rows(out) if out.exists() else []
        print(f"killed {killed} times: {len(done)} rows are kept", flush=True)
    run_alone(items, str(out), model)
    return killed


def run_alone(items: list[str], out: str, model: Path) -> None:
    run_batch(items, out, model, local_crew(2))


def rows(out: Path) -> list[dict[str, object]]:
    table = pyarrow.dataset.dataset(out, partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: str(row["source"]))


if __name__ == "__main__":
    main()
