"""`actreel teach` with 10 clips of a new action, on a champion whose features are cached; and what takes the time.

python -m benchmarks.teaching [FOLDER] [--clips 10] [--times 3]

FOLDER has one sub-folder of real clips per action (without it: the demo's are made). The last action is taught to a
model with EfficientNet-Lite0 that knows the three before. The model is trained first, which takes a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[1]
KNOWN = 3
MOST_CLIPS = 20
"""Clips of each action that the model knows."""

PARTS = (
    ("find_base", "the champion in the registry"), ("read_lesson", "listing the lesson"),
    ("gather", "cached features, checking them, and encoding the lesson"), ("learn", "solving"),
    ("answers", "answers on held-out groups"), ("measure", "what changes"), ("export_draft", "the model's files"),
    ("check_export", "checking them"), ("register", "the registry"),
)  # fmt: skip
"""Functions that `actreel teach` calls one after the other."""


def main() -> None:
    if sys.argv[1:2] == ["--parts"]:
        teach_in_parts(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.teaching", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a folder per action (default: the demo's)")
    parser.add_argument("--clips", type=int, default=10, help="clips of the new action (default: %(default)s)")
    parser.add_argument("--times", type=int, default=3, help="how often (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder.absolute() if options.folder else Path(scratch, "demo")
        if not options.folder:
            from actreel.dataset.demo import render_demo

            render_demo(folder)
        project = Path(scratch, "project")
        project.mkdir()
        prepare = "import sys; from pathlib import Path; from benchmarks.teaching import make_project; "
        prepare += "make_project(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))"
        command = [sys.executable, "-c", prepare, str(folder), str(project), str(options.clips)]
        if subprocess.run(command, env=environment(), stdout=subprocess.DEVNULL).returncode:
            sys.exit("error: the project could not be made; see above")
        measure(project, options.times)


def measure(project: Path, times: int) -> None:
    lesson = ["teach", "New", "lesson", "--json"]
    clips = len(list((project / "lesson").iterdir()))
    print(f"actreel teach, {clips} clips of a new action; load {os.getloadavg()[0]:.1f}", flush=True)
    whole = [sys.executable, "-c", "from actreel.cli import main; main()", *lesson]
    for _ in range(times):
        wall, busy, _ = run(whole, project)
        print(f"  {wall:.1f} s, of processors {busy:.1f} s", flush=True)
    _, _, said = run([sys.executable, "-m", "benchmarks.teaching", "--parts", *lesson], project)
    for part, seconds in json.loads(said.splitlines()[-1]).items():
        print(f"    {part}: {seconds:.2f} s")
    for library in ("mlflow", "tensorflow"):
        wall, _, _ = run([sys.executable, "-c", f"import {library}"], project)
        print(f"  for comparison, a process that only imports {library}: {wall:.1f} s")


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return kept | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}


def run(command: list[str], project: Path) -> tuple[float, float, str]:
    """Wall time and processor time in seconds, and what it printed."""
    before, start = psutil.Process().cpu_times(), time.perf_counter()
    done = subprocess.run(command, cwd=project, env=environment(), text=True, capture_output=True)
    if done.returncode:
        sys.exit(done.stderr)
    wall, after = time.perf_counter() - start, psutil.Process().cpu_times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, busy, done.stdout


def teach_in_parts(arguments: list[str]) -> None:
    """Runs `actreel teach`, and prints the seconds of its parts as JSON."""
    start = time.perf_counter()
    from actreel.cli import main as actreel
    from actreel.teaching import draft, lesson
    from actreel.tracking import registry

    seconds: dict[str, float] = defaultdict(float, {"imports": time.perf_counter() - start})

    def clocked(function: Any, label: str) -> Any:
        def call(*values: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*values, **named)
            finally:
                seconds[label] += time.perf_counter() - began

        return call

    for name, label in PARTS:
        home = lesson if name == "read_lesson" else registry if name == "register" else draft
        setattr(home, name, clocked(getattr(home, name), label))
    with redirect_stdout(sys.stderr):
        actreel(arguments)
    whole = time.perf_counter() - start
    seconds["the rest: the champion's files, and the run in MLflow"] = whole - sum(seconds.values())
    if "tensorflow" in sys.modules:
        sys.exit("error: TensorFlow was loaded")
    print(json.dumps(seconds))


def make_project(folder: Path, project: Path, clips: int) -> None:
    """Makes a project with a champion and cached features, and the lesson beside it."""
    from actreel.base.places import CLIPS, INDEX, MODEL, VIDEOS
    from actreel.config import ClipSpec, ModelParams, load_params
    from actreel.dataset.records import data_version, index_videos, write_index
    from actreel.dataset.splits import assign_splits
    from actreel.inference.manifest import Provenance
    from actreel.tracking import registry, runs
    from actreel.video.endings import is_video
    from tests.training.folders import train_folder

    actions = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_"))
    *known, new = actions[-KNOWN - 1 :]
    copies = [(new, project / "lesson", clips), *((each, project / "clips" / each.name, MOST_CLIPS) for each in known)]
    for source, target, most in copies:
        target.mkdir(parents=True)
        videos = sorted(path for path in source.rglob("*") if is_video(path))
        for path in videos[:: max(1, len(videos) // most)][:most]:
            shutil.copy(path, target)
    shutil.copy(ROOT / "dvc.yaml", project)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    recipe = yaml.safe_load((ROOT / "pipelines/recipes/transfer.yaml").read_text(encoding="utf-8"))["settings"]
    for section, values in recipe.items():
        params[section] |= values
    params["dataset"] |= {"name": "folder", "path": str(project / "clips")}
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with chdir(project):
        VIDEOS.parent.mkdir()
        VIDEOS.symlink_to(project / "clips")
        settings = load_params()
        index = index_videos(VIDEOS)
        index["split"] = assign_splits(index, settings.split)
        write_index(index, INDEX)
        version, spec = data_version(index), ClipSpec.model_validate(params["clip"])
        with runs.training_run(settings, settings.split, index, version) as run_id:
            provenance = Provenance(
                dataset="clips", data_version=version, run_id=run_id, git_commit="0", trained_at="now"
            )
            network = ModelParams.model_validate(params["model"])
            train_folder(CLIPS.parent, index, VIDEOS, spec, network, settings.train, provenance)
            registered = registry.register("actreel-clips", MODEL, {})
        registry.set_champion("actreel-clips", registered, None, reason="it is the first")


if __name__ == "__main__":
    main()
