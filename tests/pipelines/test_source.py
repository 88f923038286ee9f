"""DVC sees what lies behind links, and is not the first to look for a path."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actreel.config import load_params, written_path
from pipelines.repro import write_home_out
from tests.conftest import ROOT, grey_frames, write_video_file
from tests.pipelines.conftest import Project, make_project, stages_run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("links"))


def test_a_new_clip_behind_a_link_is_ingested(project: Project, tmp_path: Path) -> None:
    write_video_file(tmp_path / "clips" / "Clap" / "b.avi", grey_frames([1, 2]))
    links = ("Wave", "Jump/deep")
    for linked in links:
        first = write_video_file(tmp_path / linked / "a.avi", grey_frames([1, 2]))
        link = tmp_path / "clips" / linked
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(first.parent)
    project.set(dataset={"name": "folder", "path": str(tmp_path / "clips")})
    project.repro("ingest")
    for linked in links:
        shutil.copy(tmp_path / linked / "a.avi", tmp_path / linked / "new.avi")
        assert stages_run(project.repro("ingest")) == ["source", "ingest"]
        assert (project.root / "artifacts/videos" / linked / "new.avi").is_file()


def test_a_home_folder_is_written_out_before_dvc_takes_it_for_a_name(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(project.env, "HOME", str(tmp_path))
    project.set(dataset={"name": "folder", "path": "~/clips"})
    said = project.repro(fails=True)
    assert "Received: '~/clips'. Try: make repro" in said
    assert f"-S dataset.name=folder -S dataset.path={tmp_path}/clips" in said
    monkeypatch.chdir(project.root)
    write_home_out()
    assert written_path() == load_params().dataset.path == f"{tmp_path}/clips"


def test_a_path_that_does_not_exist_is_our_message(project: Project) -> None:
    project.set(dataset={"name": "folder", "path": "/no/such/folder"})
    output = project.repro(fails=True)
    assert "error: dataset.path must exist. Received: '/no/such/folder'" in output
    assert "Errno" not in output


def test_the_stages_that_always_run_import_nothing_that_takes_long() -> None:
    slow = {"cv2", "dvc", "mlflow", "numpy", "pandas"}
    code = f"import sys, pipelines.source, pipelines.champion; sys.exit(', '.join({slow} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
