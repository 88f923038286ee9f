"""Faults in the stages: each stage of a tiny project is run with a fault, then once more without it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos import inject
from chaos.inject import Fault
from chaos.report import TRACEBACK, Outcome
from tests.conftest import patience, write_fading_dataset
from tests.pipelines.conftest import SMALL, Project, make_project

LONGEST_S = 120
STAGES = ("source", "ingest", "index", "validate", "extract", "encode", "train", "evaluate", "champion", "package")
STATE = ("artifacts", "reports", "mlflow.db", "mlartifacts", "bentoml", "params.yaml", "data", "data.dvc")
WRITES = {
    "source": ("artifacts",),
    "ingest": ("artifacts/videos",),
    "index": ("artifacts", "reports/dataset"),
    "validate": ("reports/validation",),
    "extract": ("artifacts/kept/clips",),
    "encode": ("artifacts/kept/features",),
    "train": ("artifacts/model", "artifacts/runner_up", "artifacts/kept"),
    "evaluate": ("reports",),
    "champion": ("reports",),
    "package": ("bentoml", "artifacts/bento"),
}
"""The folders that each stage writes."""
SAME = ("artifacts/videos/**/*.avi", "artifacts/index.parquet", "artifacts/clips/*.npy")
"""Files that are the same to the byte after each run."""
MADE = {
    "source": ("artifacts/source.json",),
    "fetch": ("data/UCF50.rar",),
    "train": ("artifacts/model/model.onnx", "artifacts/model/classifier.json", "artifacts/training/curve.csv"),
    "evaluate": ("reports/metrics.json", "reports/verdict.json"),
    "champion": ("reports/champion.json",),
    "package": ("artifacts/bento/bento.yaml",),
}
DAMAGES = {
    "index": ("artifacts/videos/Darken/*.avi", "artifacts/ingest_warnings.json"),
    "validate": ("artifacts/index.parquet",),
    "extract": ("artifacts/index.parquet", "artifacts/kept/clips/*.npy", "artifacts/kept/clips/clips.json"),
    "encode": ("artifacts/clips/*.npy", "artifacts/kept/features/clips.json"),
    "train": ("artifacts/index.parquet", "artifacts/clips/*.npy", "artifacts/clips/clips.json", "mlflow.db"),
    "evaluate": (
        "reports/dataset/warnings.json",
        "artifacts/model/model.keras", "artifacts/model/classifier.json", "artifacts/model/head.onnx",
        "artifacts/runner_up/model.keras", "artifacts/training/curve.csv", "artifacts/training/epochs/*.h5",
        "mlflow.db", "mlartifacts/**/seen_clips.txt",
    ),
    "champion": ("reports/dataset/warnings.json", "mlflow.db"),
    "package": ("artifacts/index.parquet", "reports/champion.json", "mlflow.db", "mlartifacts/**/classifier.json"),
}  # fmt: skip
"""Files that each stage reads."""

CROWN = """
from actreel.tracking import registry, store
store.connect()
if registry.find_champion("actreel-fading") is None:
    registry.set_champion("actreel-fading", "1", instead_of=None)
"""


@dataclass
class Bench:
    """A project whose stages ran once, and a copy of its state from then."""

    project: Project
    pristine: Path

    @classmethod
    def build(cls, home: Path, stages: Sequence[str] = STAGES) -> Bench:
        clips = write_fading_dataset(home / "fading", groups=5, clips=1)
        (home / "project").mkdir()
        bench = cls(make_project(home / "project"), home / "pristine")
        bench.project.set(dataset={"name": "folder", "path": str(clips)}, **SMALL | {"train": SMALL["train"]})
        bench.project.set(train={"epochs": 10})
        for stage in stages:
            if stage == "champion":  # its test clips are too few to tell a model from chance
                bench.project.run(sys.executable, "-c", CROWN)
            bench.project.run("python", "-m", f"pipelines.{stage}")
        for name in STATE:
            copy(bench.project.root / name, bench.pristine / name)
        return bench

    def restore(self) -> None:
        for name in STATE:
            path = self.project.root / name
            if path.exists():
                inject.removed(path)
            copy(self.pristine / name, path)

    def lost(self, stage: str) -> list[str]:
        """Files that are missing, half-written, or other than they were."""
        root = self.project.root
        found = [str(part) for folder in ("artifacts", "reports") for part in (root / folder).rglob(".part.*")]
        for pattern in SAME:
            for file in self.pristine.glob(pattern):
                now = root / file.relative_to(self.pristine)
                if not now.is_file() or digest(now) != digest(file):
                    found.append(str(now))
        return found + [name for name in MADE.get(stage, ()) if not (root / name).is_file()]


def copy(source: Path, target: Path) -> None:
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cases(*, mounts: bool) -> Iterator[tuple[str, Fault]]:
    """Every stage with every fault that it can meet."""
    for stage in STAGES:
        yield from ((stage, fault) for fault in (
            inject.largest_file(256), inject.largest_file(20_000), inject.read_only(*WRITES[stage]),
            inject.memory(2**28), inject.memory(3 * 2**29), inject.killed(1.5), inject.killed(4),
            inject.clock(inject.YEAR_S), inject.clock(-inject.YEAR_S), inject.slow_disk(0.02),
        ))  # fmt: skip
        if mounts and stage != "encode":
            yield stage, inject.full_disk(WRITES[stage][0], 8192)
        for pattern in DAMAGES.get(stage, ()):
            yield from ((stage, inject.damaged(pattern, damage)) for damage in (inject.cut_off, inject.overwritten))
    yield "fetch", inject.network_gone(1000)
    yield "fetch", inject.network_gone(0, 100_000, 50_000, 0)
    for stage in ("train", "evaluate", "champion", "package"):
        yield stage, inject.locked("mlflow.db")
        yield stage, inject.locked("mlflow.db", 4)
        yield stage, inject.damaged("mlflow.db", inject.emptied)
        yield stage, inject.damaged("mlartifacts", inject.removed)
    yield "package", inject.damaged("bentoml", inject.removed)


def run_case(bench: Bench, stage: str, fault: Fault) -> Outcome:
    """Runs a stage with a fault, and judges what came of it."""
    bench.restore()
    if stage in REPAIRED and not is_damage(fault):  # what is there would be kept
        for file in (bench.project.root / WRITES[stage][0]).iterdir():
            file.unlink()
    name = f"{stage}: {fault.name}"
    with fault.around(bench.project.root):
        status, output = run(bench.project, stage, fault)
    if status is None:
        return Outcome(name, "did not end", hangs=1)
    tracebacks = output.count(TRACEBACK)
    said = re.findall(r"^error: .*", output, re.MULTILINE)
    explained = status == 0 or bool(said) or fault.kill_after_s is not None
    # What cannot be said in Python: libraries in C and C++ abort, in words of their own.
    explained = explained or any(words in output for words in ("bad_alloc", "Memory allocation still failed"))
    note = said[-1] if said else "completed" if status == 0 else output.strip()[-300:]
    if is_damage(fault):
        lost = bench.lost(stage) if status == 0 and stage in REPAIRED else []
    elif status == 0:
        lost = bench.lost(stage)
    else:
        again, last = run(bench.project, stage, Fault("none"))
        tracebacks += last.count(TRACEBACK)
        lost = bench.lost(stage) if again == 0 else [f"not made again: {last.strip()[-300:]}"]
    if lost:
        note += f"; lost: {lost[:2]}"
    return Outcome(
        name, note, lost_files=len(lost), tracebacks=tracebacks,
        unexplained=int(not explained or (status != 0 and not fault.fails)),
    )  # fmt: skip


REPAIRED = ("extract", "encode")
"""Stages that make good what is damaged."""


def is_damage(fault: Fault) -> bool:
    """Whether files are damaged that this stage does not make: running it again cannot help."""
    return fault.name.split(" ")[-1] in ("off", "overwritten", "removed", "emptied")


def run(project: Project, stage: str, fault: Fault) -> tuple[int | None, str]:
    """A stage's exit status, None if it does not end, and all that it printed."""
    env = {**project.env, **fault.environment}
    env["PYTHONPATH"] = os.pathsep.join([inject.SITE, env["PYTHONPATH"]])
    # A fault of the process itself needs one that starts from nothing.
    python = sys.executable if fault.prefix or fault.environment else "python"
    process = subprocess.Popen(
        [*fault.prefix, python, "-m", f"pipelines.{stage}"], cwd=project.root, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, errors="replace",
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=fault.kill_after_s or patience(LONGEST_S))
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return (process.returncode if fault.kill_after_s else None), output
    return process.returncode, output
