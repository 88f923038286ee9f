"""Where a project stands. Files, processes and locks are real; what DVC says is given."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from actreel.base.places import BENTO, CHAMPION, DVC_LOCK, DVC_RUNNING, SERVED, SOURCE, VERDICT
from actreel.dataset.fetch.dvc_internals import Changes
from actreel.dataset.watch import files_of_weights
from actreel.errors import ActreelError, ConfigError, FileError
from actreel.feedback import Feedback, FeedbackStore
from actreel.project import status
from actreel.project.status import read_status
from tests.conftest import ROOT, grey_frames, write_video_file

NAME = "actreel-clips"
UNCHANGED = Changes({}, False, False)


def labels(version: str, run_id: str = "") -> dict[str, str]:
    return {"registered_model": NAME, "version": version, "run_id": run_id or f"run{version}"}


def bento(folder: Path, version: str, tag: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"name": "actreel", "version": tag or f"tag{version}", "labels": labels(version)}
    (folder / "bento.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@contextmanager
def server() -> Iterator[int]:
    """A process whose command line is that of `make serve`."""
    current = str((SERVED / "current").absolute())
    command = [sys.executable, "-c", "input()", current, "--host", "0.0.0.0", "--port", "3007"]  # noqa: S104
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        (SERVED / "pid").write_text(str(process.pid), encoding="utf-8")
        yield process.pid
        process.communicate(b"\n")


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Changes], None]:
    """Says what DVC says."""
    return lambda changes: monkeypatch.setattr(status, "pipeline_changes", lambda: changes)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Callable[[Changes], None]) -> Path:
    """A project that learned from a folder of clips, whose version 2 is champion and packaged."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", str(tmp_path / "feedback"))
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    shutil.copy(ROOT / "dvc.yaml", root)
    write_video_file(tmp_path / "clips" / "Jump" / "a.avi", grey_frames([9] * 3))
    settings(dataset={"name": "folder", "path": str(tmp_path / "clips")})
    DVC_LOCK.write_text("schema: '2.0'\nstages: {}\n", encoding="utf-8")
    write_json(SOURCE, {})
    write_json(VERDICT, {"promoted": True, "reason": "it is right.", "version": "2", "champion": "2"})
    write_json(CHAMPION, labels("2"))  # no registry here holds it: it came with DVC
    bento(BENTO, "2")
    changed(UNCHANGED)
    return root


def settings(**sections: Mapping[str, Any]) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, changes in sections.items():
        values[section] |= dict(changes)
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def said() -> tuple[str, str | None, int]:
    found = read_status()
    return found.state, found.next, found.exit_code


def test_a_folder_that_is_no_project_and_settings_with_a_mistake_are_said(project: Path) -> None:
    settings(train={"epoch": 3})
    with pytest.raises(ConfigError, match="Did you mean 'epochs'"):
        read_status()
    Path("dvc.yaml").unlink()
    with pytest.raises(ConfigError, match="Run this from the project's folder"):
        read_status()


def test_no_videos(project: Path) -> None:
    shutil.rmtree(project.parent / "clips" / "Jump")
    assert said() == ("no_videos", "make learn FROM=/path/to/clips", 3)
    assert "must contain clips as <action>/<clip>" in read_status().said
    settings(dataset={"name": "ucf50", "path": "data/UCF50.rar"})
    SOURCE.unlink()
    assert said() == ("no_videos", "make ucf50", 3)


def test_never_run_stale_and_not_pulled(project: Path, changed: Callable[[Changes], None]) -> None:
    reasons = ("src/actreel/video", "train in params.yaml", "a", "b", "c")
    changed(Changes({"train": reasons, "package": ("serving",)}, False, True))
    assert said() == ("stale", "make repro", 3)
    assert read_status().said.endswith(
        "train (src/actreel/video, train in params.yaml, a and 2 more), package (serving)."
    )
    changed(Changes({"train": ("artifacts/model is missing",)}, True, True))
    assert said() == ("not_pulled", "dvc pull", 3)
    changed(
        Changes({"ingest": ("artifacts/videos is missing",), "index": ("artifacts/videos is missing",)}, True, True)
    )
    assert read_status().state not in ("not_pulled", "stale"), "the videos are in no remote"
    changed(Changes({"train": ("artifacts/model is missing",)}, True, False))
    assert said() == ("stale", "make repro", 3)
    DVC_LOCK.unlink()
    assert said() == ("never_run", "make repro", 3)


def test_a_file_behind_a_link_that_has_changed_is_seen_though_dvc_does_not_watch_it(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "clips" / "Wave").symlink_to(tmp_path / "elsewhere")
    write_video_file(tmp_path / "elsewhere" / "b.avi", grey_frames([9] * 3))
    assert said() == ("stale", "make repro", 3)
    assert "source (files behind links in dataset.path, or of model.weights)" in read_status().said


def test_a_file_of_weights_is_watched_as_the_pipeline_watches_it(project: Path, tmp_path: Path) -> None:
    weights = tmp_path / "encoder.onnx"
    weights.write_bytes(b"one")
    settings(
        dataset={"name": "folder", "path": str(tmp_path / "clips")},
        model={"encoder": "onnx", "weights": str(weights)},
        train={"crop": 0, "colour": 0},
    )
    write_json(SOURCE, files_of_weights(str(weights)))
    assert said()[0] == "not_served"
    weights.write_bytes(b"other")
    assert said()[0] == "stale"


def write_state(folder: Path, epochs: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "fit.npz", state=json.dumps({"logs": [{}] * epochs}))


def test_a_killed_training_counts_only_while_its_stage_is_to_run(
    project: Path, changed: Callable[[Changes], None]
) -> None:
    state = Path("artifacts/kept/training/state/model")
    write_state(state, 12)
    assert said()[0] == "not_served"
    changed(Changes({"evaluate": ("x",)}, False, False))
    assert said()[0] == "stale"
    changed(Changes({"train": ("artifacts/model is missing",)}, True, True))
    assert said() == ("interrupted", "make repro", 3)
    assert "after epoch 12 of at most 30" in read_status().said
    DVC_LOCK.unlink()
    assert said()[0] == "interrupted"
    (state / "fit.npz").write_bytes(b"cut off")  # the training starts over
    assert said()[0] == "never_run"


def test_a_run_in_progress_with_its_stage_and_epoch(project: Path) -> None:
    write_state(Path("artifacts/kept/training/state/model"), 3)
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc", "repro"], stdin=subprocess.PIPE) as run:
        for output, stage, words in (
            ("artifacts/model", "train", "in the stage train, after epoch 3 of at most 30."),
            ("reports/metrics.json", "evaluate", "in the stage evaluate."),
        ):
            held = {str(project / output): {"pid": run.pid, "cmd": "dvc repro"}}
            write_json(DVC_RUNNING, {"write": held})
            found = read_status()
            assert (found.state, found.next, found.exit_code) == ("running", None, 4)
            assert found.run is not None
            assert (found.run.pids, found.run.stage) == ((run.pid,), stage)
            assert found.said.endswith(words)
        run.communicate(b"\n")
    assert said()[0] == "not_served", "its holder has ended"


def test_a_stage_that_works_on_after_its_dvc_was_killed_is_a_run_in_progress(project: Path, tmp_path: Path) -> None:
    (project / "pipelines").mkdir()
    (project / "pipelines" / "__init__.py").touch()  # or it loses to a package of that name on PYTHONPATH
    (project / "pipelines" / "train.py").write_text("print(flush=True); input()", encoding="utf-8")
    command = [sys.executable, "-m", "pipelines.train"]
    for folder, state in ((project, "running"), (tmp_path / "elsewhere", "not_served")):
        if folder != project:
            shutil.copytree(project, folder)
        with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stage:
            assert stage.stdout is not None
            stage.stdout.readline()
            assert said()[0] == state
            stage.communicate(b"\n")


def test_a_lock_file_that_a_killed_run_left_half_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Changes:
        raise ActreelError("DVC cannot tell.")

    monkeypatch.setattr(status, "pipeline_changes", fail)
    with pytest.raises(ActreelError, match="DVC cannot tell"):
        read_status()
    DVC_LOCK.write_text("schema: '2.0'\nstages:\n  one:\n    cmd: [", encoding="utf-8")
    assert said() == ("damaged", "make repro", 3)


def test_nothing_better_than_chance(project: Path) -> None:
    shutil.rmtree(BENTO)
    write_json(CHAMPION, None)
    verdict = {"promoted": False, "reason": "a champion must be better than chance. Add clips.", "champion": None}
    write_json(VERDICT, verdict)
    assert said() == ("no_champion", f"make learn FROM={project.parent / 'clips'}", 3)
    assert read_status().said.endswith("is champion: a champion must be better than chance. Add clips.")
    settings(dataset={"name": "folder", "path": str(project.parent / "clips")}, split={"protocol": "random"})
    assert said() == ("no_champion", "dvc exp run -S split.protocol=group_holdout", 3)
    settings(dataset={"name": "folder", "path": str(project.parent / "clips")})
    write_json(VERDICT, verdict | {"promoted": True, "champion": "2"})
    assert said() == ("no_champion", f"actreel models promote {NAME}@2 --reason '...'", 3)


def test_a_champion_that_is_newer_than_the_bento(project: Path) -> None:
    write_json(CHAMPION, labels("3") | {"promoted_by_hand": "by hand on 2026-11-26: nights"})
    assert said() == ("champion_moved", "make repro", 3)
    assert read_status().said == (
        f"The champion is {NAME} version 3, promoted by hand on 2026-11-26: nights, and {NAME} version 2 is packaged."
    )
    write_json(CHAMPION, labels("2", "another registry's"))
    assert said()[0] == "champion_moved"
    write_json(CHAMPION, None)
    assert said() == ("champion_moved", "make repro", 3)
    assert read_status().said == f"No version is champion any more, and {NAME} version 2 is packaged."


def test_what_is_served_and_whether_it_is_the_champion(project: Path) -> None:
    found = read_status()
    assert (found.state, found.next, found.exit_code) == ("not_served", "make serve", 0)
    assert found.serves_champion is None
    bento(SERVED / "current", "1")
    with server() as pid:
        found = read_status()
        assert (found.state, found.next, found.exit_code) == ("served_is_old", "make reload", 3)
        assert found.said == (
            f"http://127.0.0.1:3007 serves {NAME} version 1, not the champion: {NAME} version 2 is packaged."
        )
        assert found.serves_champion is False
        bento(SERVED / "current", "2", tag="older")
        found = read_status()
        assert (found.state, found.serves_champion) == ("served_is_old", True)
        assert "another build of the champion" in found.said
        bento(SERVED / "current", "2")
        found = read_status()
        assert (found.state, found.next, found.exit_code, found.serves_champion) == ("served", None, 0, True)
        assert found.serving is not None
        assert found.serving.pid == pid
    assert said()[0] == "not_served"


def test_feedback_waits_until_it_is_in_the_dataset(project: Path, tmp_path: Path, video: Path) -> None:
    FeedbackStore(tmp_path / "feedback").add(Feedback("one", "Jump", 0.5, "actreel:1", False, "Wave"), video)
    bento(SERVED / "current", "2")
    with server():
        assert said() == ("feedback", "actreel feedback export DIR", 0)
        assert "1 videos that visitors shared are not in the dataset" in read_status().said
        write_video_file(tmp_path / "clips" / "Wave" / "feedback_one.avi", grey_frames([9] * 3))
        assert said()[0] == "served"


def test_damaged_files_are_named(project: Path) -> None:
    for file, command in ((VERDICT, "dvc repro evaluate"), (CHAMPION, "dvc repro champion"),
                          (BENTO / "bento.yaml", "dvc repro --force package")):  # fmt: skip
        before = file.read_text(encoding="utf-8")
        file.write_text("{", encoding="utf-8")
        with pytest.raises(FileError, match=command):
            read_status()
        file.write_text(before, encoding="utf-8")
