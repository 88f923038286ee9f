"""`make ucf50`, killed several times between the URL and the stored clips, then run to its end.

A server on loopback plays UCF50's, with a smaller RAR of the same layout. Prints how much was downloaded twice, and the
accuracy in the end.

python -m benchmarks.interruptions [--kills 10] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from tests.conftest import write_fading_dataset
from tests.dataset.rar import write_rar
from tests.loopback import SLICE, Loopback, serving
from tests.pipelines.conftest import SMALL, Project, make_project

BYTES_A_SECOND = 2_000_000
# The first file that each phase writes; if it exists from an earlier try, the kill comes early in the next phase.
BEGINNINGS = {
    "fetch": "data/.UCF50.rar.part",
    "unpack": "data/unpacked",
    "index": "artifacts/videos",
    "extract": "artifacts/index.parquet",
}
LONGEST_DELAY_S = 1.0
# Without `make setup`: the project uses the environment of this process.
COMMAND = ("make", "--assume-old=setup", "ucf50")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interruptions")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, serving(ucf50_like(Path(scratch))) as server:
        server.pause_s = SLICE / BYTES_A_SECOND
        began = time.perf_counter()
        project = project_at(Path(scratch) / "project", server)
        rng = np.random.default_rng(options.seed)
        for number in range(options.kills):
            phase = list(BEGINNINGS)[number * len(BEGINNINGS) // options.kills]
            moment = float(rng.uniform(0, LONGEST_DELAY_S))
            kill_in(project, BEGINNINGS[phase], moment)
            print(f"kill {number + 1}, {phase} + {moment:.2f} s: {state_of(project.root)}")
        project.run(*COMMAND)
        size = len(server.content)
        print(f"{server.sent:,} bytes sent of a file of {size:,}: {server.sent / size - 1:.2%} twice")
        metrics = json.loads((project.root / "reports" / "metrics.json").read_text(encoding="utf-8"))
        print(f"accuracy {metrics['accuracy']:.2f}, {metrics['num_test_clips']} test clips")
        print(f"{time.perf_counter() - began:.0f} s in all")
        if server.sent > 1.01 * size:
            sys.exit("error: more than 1 % was downloaded twice")


def ucf50_like(scratch: Path) -> bytes:
    """A RAR of real clips that can be trained on: `UCF50/<Action>/v_<Action>_gNN_cMM.avi`."""
    clips = write_fading_dataset(scratch / "clips", groups=25, clips=12)
    members = {
        f"UCF50/{path.relative_to(clips).as_posix()}": path.read_bytes() for path in sorted(clips.rglob("*.avi"))
    }
    return write_rar(scratch / "UCF50.rar", members).read_bytes()


def project_at(root: Path, server: Loopback) -> Project:
    """A copy of this repository whose data.dvc has the server's address and its file's size."""
    root.mkdir()
    project = make_project(root)
    project.set(**{**SMALL, "train": {**SMALL["train"], "epochs": 10}})
    path = root / "data.dvc"
    described = yaml.safe_load(path.read_text(encoding="utf-8"))
    described["deps"][0]["path"] = server.url
    described["outs"][0]["size"] = len(server.content)
    path.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    project.run("git", "commit", "--quiet", "--all", "--message", "small")
    return project


def kill_in(project: Project, beginning: str, delay_s: float) -> None:
    """Runs the command, and kills it and its children some time after a file exists, or a partial one grows."""
    path = project.root / beginning
    before = size_of(path) if path.suffix == ".part" else 0
    process = project.start(*COMMAND)
    while size_of(path) <= before:
        if process.poll() is not None:
            sys.exit(process.communicate()[0])
        time.sleep(0.005)
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def state_of(root: Path) -> str:
    """What has been done so far."""
    part, archive = root / "data" / ".UCF50.rar.part", root / "data" / "UCF50.rar"
    if not archive.exists():
        return f"{size_of(part):,} bytes fetched"
    unpacked = sum(path.is_file() for path in (root / "data" / "unpacked").rglob("*.avi"))
    shards = len(list((root / "artifacts" / "clips").glob("*.npy")))
    indexed = (root / "artifacts" / "index.parquet").exists()
    return f"fetched, {unpacked} clips unpacked, {'' if indexed else 'not '}indexed, {shards} shards"


if __name__ == "__main__":
    main()
