"""What the files of a project say of where it stands, each read as cheaply as it can be: no TensorFlow, no MLflow."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from actreel.base.faults import reading
from actreel.base.kept import kept_folder
from actreel.base.places import BENTO, CHAMPION, DVC_LOCK, DVC_RUNNING, PIPELINE, SERVED, SOURCE, TRAINING, VERDICT
from actreel.base.served import CURRENT, MANIFEST, address_of, find_server, is_bento, labels_in, read_manifest, tag_in
from actreel.config import DatasetParams, Params
from actreel.dataset.watch import files_behind_links, files_of_weights
from actreel.errors import DatasetError
from actreel.project.running import command_of, holders, orphaned_stage


@dataclass(frozen=True)
class Run:
    """A DVC process that works in the project.

    Attributes:
        pids: The processes, as far as they are known.
        command: What they run.
        stage: The stage that runs now; None between stages.
    """

    pids: tuple[int, ...]
    command: str
    stage: str | None


@dataclass(frozen=True)
class Training:
    """How far a training has come that has not ended.

    Attributes:
        epoch: Epochs that are complete.
        epochs: Epochs at most.
    """

    epoch: int
    epochs: int


@dataclass(frozen=True)
class Packaged:
    """A Bento.

    Attributes:
        tag: Its tag.
        registered_model: The model in it; None if it was never registered.
        version: Its version.
        run_id: The run that trained it.
    """

    tag: str
    registered_model: str | None
    version: str | None
    run_id: str | None

    @property
    def in_words(self) -> str:
        """Its model, or its tag."""
        return f"{self.registered_model} version {self.version}" if self.version else self.tag


@dataclass(frozen=True)
class Serving:
    """A server of this project that runs.

    Attributes:
        pid: Its process.
        address: Where it answers, on this machine.
        bento: What it serves.
    """

    pid: int
    address: str
    bento: Packaged


def run_in_progress() -> Run | None:
    """The run that works in this project now, or None."""
    pids = holders()
    if pids is None:
        orphan = orphaned_stage()
        return orphan and Run((orphan[0],), command_of(orphan[0]), orphan[1])
    stage = None
    try:
        written = json.loads(DVC_RUNNING.read_text(encoding="utf-8")).get("write", {})
        stage = _stage_of({Path(path).resolve() for path, holder in written.items() if holder["pid"] in pids})
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        pass
    return Run(tuple(pids), " and ".join(filter(None, map(command_of, pids))), stage)


def _stage_of(outputs: set[Path]) -> str | None:
    """The stage that locks these paths for writing."""
    stages = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]
    for name, stage in stages.items():
        outs = [*stage.get("outs", ()), *stage.get("metrics", ())]
        if outputs & {Path(next(iter(out)) if isinstance(out, dict) else out).resolve() for out in outs}:
            return str(name)
    return None


def unfinished_training(epochs: int) -> Training | None:
    """The training that was interrupted, or that runs now; None if the last one ended, or has no complete epoch."""
    states = sorted((kept_folder(TRAINING) / "state").rglob("*.npz"), key=lambda file: file.stat().st_mtime)
    for file in reversed(states):
        import numpy as np  # a twentieth of a second, for a file that is rarely there

        try:
            with file.open("rb") as stream, np.load(stream) as kept:
                return Training(len(json.loads(str(kept["state"]))["logs"]), epochs)
        except (OSError, ValueError, LookupError, zipfile.BadZipFile):  # such a file is not continued from
            continue
    return None


def missing_videos(dataset: DatasetParams) -> str | None:
    """Why there is nothing to learn from, or None."""
    try:
        files_behind_links(dataset)
    except DatasetError as error:
        return str(error)
    if dataset.name == "ucf50" and not Path(dataset.path).exists() and not SOURCE.exists():
        return f"UCF50's archive is not here: '{dataset.path}' does not exist."
    return None


def unwatched_files_have_changed(params: Params) -> bool:
    """Whether files behind links in the dataset, or of weights, differ from those of the last run: DVC sees neither."""
    if not SOURCE.is_file():
        return False
    with reading(SOURCE, "Make it again with: dvc repro source"):
        before = json.loads(SOURCE.read_text(encoding="utf-8"))
    files = files_behind_links(params.dataset) | files_of_weights(params.model.weights)
    return bool(before != json.loads(json.dumps(files)))


def has_run() -> bool:
    """Whether the pipeline has run here, or its results have come with git."""
    return DVC_LOCK.exists()


def read_verdict() -> Mapping[str, Any] | None:
    """What came of the last evaluation; None if there was none."""
    verdict: Mapping[str, Any] | None = _json_of(VERDICT, "Make it again with: dvc repro evaluate")
    return verdict


def recorded_champion() -> Mapping[str, str] | None:
    """The labels of the champion that the stage champion saw last; None if there was none."""
    remedy = f"Make it again with: rm -f {CHAMPION} && dvc repro champion"
    labels: Mapping[str, str] | None = _json_of(CHAMPION, remedy)
    return labels


def _json_of(file: Path, remedy: str) -> Any:
    if not file.exists():
        return None
    with reading(file, remedy):
        return json.loads(file.read_text(encoding="utf-8"))


def packaged_bento() -> Packaged | None:
    """The Bento that the pipeline built last, or None."""
    return _packaged(BENTO) if is_bento(BENTO) else None


def _packaged(bento: Path) -> Packaged:
    with reading(bento / MANIFEST, "Make it again with: dvc repro --force package"):
        manifest = read_manifest(bento)
        labels = labels_in(manifest)
        return Packaged(tag_in(manifest), labels.get("registered_model"), labels.get("version"), labels.get("run_id"))


def what_is_served() -> Serving | None:
    """The server of this project that runs, or None."""
    server = find_server(SERVED)
    if server is None or not is_bento(SERVED / CURRENT):
        return None
    try:
        return Serving(server.pid, address_of(server), _packaged(SERVED / CURRENT))
    except (psutil.Error, ValueError):  # it has ended meanwhile
        return None
