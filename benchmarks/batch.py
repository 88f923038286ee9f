"""`actreel batch` with one process and with two, beside decoding alone, and killed five times on the way.

python -m benchmarks.batch FOLDER [--encoder small_cnn] [--clips 2000]

FOLDER holds real clips; links to them stand in for an archive. The network is untrained, which takes as long.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
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
from actreel.dataset.parallel import map_on_cores
from actreel.inference.classifier import ActionClassifier
from actreel.inference.windows import window_passes
from actreel.video.endings import is_video
from benchmarks.untrained import write_model

KILLS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="small_cnn")
    parser.add_argument("--clips", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model, archive = Path(scratch, "model"), Path(scratch, "archive")
        write_model(options.encoder, model)
        archive.mkdir()
        found = sorted(path for path in options.folder.rglob("*") if is_video(path))
        for number, path in enumerate(islice(cycle(found), options.clips)):
            (archive / f"{number:05d}{path.suffix}").symlink_to(path.absolute())
        items = read_items(str(archive))
        card = ActionClassifier.load(model).card
        limit = timed(decode_all, items, card.clip, card.clip_duration_s)
        print(f"decoding alone, two processes: {options.clips / limit:.1f} clips/s", flush=True)
        seconds = {}
        for workers in (1, 2):
            out = Path(scratch, f"out{workers}")
            seconds[workers] = timed(run_batch, items, str(out), model, local_crew(workers))
            print(f"batch, processes: {workers}: {options.clips / seconds[workers]:.1f} clips/s", flush=True)
        print(f"two processes are {seconds[1] / seconds[2]:.2f} times as fast as one")
        print(f"decoding alone takes {limit / seconds[2]:.2f} of the time of the whole")
        again = timed(run_batch, items, str(Path(scratch, "out2")), model, local_crew(2))
        print(f"again, with nothing to do: {again:.1f} s")
        killed = Path(scratch, "killed")
        kill_on_the_way(items, killed, model, seconds[2])
        equal = rows(killed) == rows(Path(scratch, "out2"))
        print(f"killed {KILLS} times, then finished: {'equal' if equal else 'NOT equal'} to the undisturbed table")


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


def kill_on_the_way(items: list[str], out: Path, model: Path, whole_s: float) -> None:
    spawn = multiprocessing.get_context("spawn")
    for _ in range(KILLS):
        process = spawn.Process(target=run_alone, args=(items, str(out), model))
        process.start()
        process.join(random.uniform(0.1, 0.4) * whole_s)  # noqa: S311
        process.kill()
        process.join()
    run_alone(items, str(out), model)


def run_alone(items: list[str], out: str, model: Path) -> None:
    run_batch(items, out, model, local_crew(2))


def rows(out: Path) -> list[dict[str, object]]:
    table = pyarrow.dataset.dataset(out, partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: str(row["source"]))


if __name__ == "__main__":
    main()
