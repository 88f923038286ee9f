"""UCF50's archive by both ways, DVC's own import and the fetch that resumes, from a server on loopback."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from actreel.config import load_params
from pipelines import fetch
from tests.dataset.rar import write_rar
from tests.loopback import Loopback, serving
from tests.warm_python import warm_python

ROOT = Path(__file__).parents[2]
STAGE = """
stages:
  ingest:
    cmd: wc -c ${path} > out
    deps: ["${path}"]
    outs: [out]
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("rar") / "UCF50.rar"
    return write_rar(path, {"UCF50/YoYo/v_YoYo_g01_c01.avi": os.urandom(50_000)}).read_bytes()


@pytest.fixture
def server(archive: bytes) -> Iterator[Loopback]:
    with serving(archive) as running:
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `dvc init` makes."""
    folder = tmp_path_factory.mktemp("empty")
    run(folder, "dvc", "init", "--no-scm", "--quiet")
    return folder


@pytest.fixture
def repository(empty: Path, tmp_path: Path, server: Loopback, archive: bytes) -> Path:
    """One with the repository's data.dvc, but for the address and the size."""
    described = yaml.safe_load((ROOT / "data.dvc").read_text(encoding="utf-8"))
    described["deps"][0]["path"] = server.url
    described["outs"][0]["size"] = len(archive)
    (tmp_path / "data.dvc").write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(STAGE, encoding="utf-8")
    (tmp_path / "demo.txt").write_text("demo", encoding="utf-8")
    select(tmp_path, "demo.txt")
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    return tmp_path


def select(repository: Path, path: str) -> None:
    (repository / "params.yaml").write_text(f"path: {path}\n", encoding="utf-8")


def run(folder: Path, module: str, *arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "DVC_NO_ANALYTICS": "1"}
    environment = warm_python().added_to(environment)
    done = subprocess.run(
        ["python", "-m", module, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done


def out_of(repository: Path) -> dict[str, object]:
    described = yaml.safe_load((repository / "data.dvc").read_text(encoding="utf-8"))
    (out,) = described["outs"]
    return out


def test_the_repository_names_the_archive_and_its_size() -> None:
    described = yaml.safe_load((ROOT / "data.dvc").read_text(encoding="utf-8"))
    assert described["frozen"] is True
    assert described["deps"][0]["path"] == "https://www.crcv.ucf.edu/data/UCF50.rar"
    assert (out_of(ROOT)["path"], out_of(ROOT)["size"]) == ("data/UCF50.rar", 3_233_554_570)


def test_the_demo_asks_no_server(repository: Path, server: Loopback) -> None:
    run(repository, "dvc", "repro")
    assert (repository / "out").exists()
    assert not server.requests


def test_both_ways_have_one_outcome(repository: Path, server: Loopback, archive: bytes) -> None:
    unfetched = (repository / "data.dvc").read_bytes()
    select(repository, "data/UCF50.rar")
    run(repository, "dvc", "repro")
    assert (repository / "data" / "UCF50.rar").read_bytes() == archive
    imported = out_of(repository)
    assert "md5" in imported

    (repository / "data" / "UCF50.rar").unlink()
    (repository / "data.dvc").write_bytes(unfetched)
    (repository / "dvc.lock").unlink()
    assert run(repository, "pipelines.fetch").stdout == "data/UCF50.rar\n"
    assert (repository / "data" / "UCF50.rar").read_bytes() == archive
    assert out_of(repository) == imported
    server.requests.clear()
    run(repository, "dvc", "repro")
    assert "up to date" in run(repository, "dvc", "repro").stdout
    assert not server.requests
    assert not list((repository / ".dvc" / "cache").rglob("*.rar"))


def test_an_archive_that_is_there_is_adopted_without_server_or_copy(repository: Path, server: Loopback) -> None:
    mine = repository.parent / f"{repository.name}-mine.rar"
    mine.write_bytes(server.content)
    assert run(repository, "pipelines.fetch", "--adopt", str(mine)).stdout == "data/UCF50.rar\n"
    assert (repository / "data" / "UCF50.rar").samefile(mine)
    select(repository, "data/UCF50.rar")
    run(repository, "dvc", "repro")
    assert not server.requests
    assert run(repository, "pipelines.fetch", "--adopt", str(repository)).stdout == f"{repository}\n"


def test_selecting_changes_params_and_keeps_their_comments(repository: Path, server: Loopback) -> None:
    before = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (repository / "params.yaml").write_text(before, encoding="utf-8")
    folder = repository / "my clips, unpacked"
    folder.mkdir()
    run(repository, "pipelines.fetch", "--select", "--adopt", str(folder))
    assert load_params(repository / "params.yaml").dataset.path == str(folder)
    run(repository, "pipelines.fetch", "--select")
    changed = (repository / "params.yaml").read_text(encoding="utf-8")
    assert load_params(repository / "params.yaml").dataset.label == "ucf50"
    expected = yaml.safe_load(before)
    expected["dataset"] |= {"name": "ucf50", "path": "data/UCF50.rar"}
    assert yaml.safe_load(changed) == expected
    assert [line.partition("#")[2] for line in changed.splitlines()] == [
        line.partition("#")[2] for line in before.splitlines()
    ]


def test_a_changed_archive_is_refused_with_both_sizes(repository: Path, server: Loopback, archive: bytes) -> None:
    server.content = archive[:-100]
    told = run(repository, "pipelines.fetch", fails=True)
    assert f"must be {len(archive):,} bytes. Received: {len(archive) - 100:,} bytes" in told.stderr
    assert "Traceback" not in told.stderr
    assert not told.stdout


def test_a_recorded_hash_is_checked(repository: Path, server: Loopback, archive: bytes) -> None:
    run(repository, "pipelines.fetch")
    (repository / "data" / "UCF50.rar").unlink()
    with serving(bytes(len(archive))) as mirror:
        told = run(repository, "pipelines.fetch", "--url", mirror.url, fails=True)
    assert f"md5 must be {out_of(repository)['md5']}" in told.stderr


def test_a_spoilt_description_is_a_message(repository: Path) -> None:
    (repository / "data.dvc").write_text("outs: []\n", encoding="utf-8")
    told = run(repository, "pipelines.fetch", fails=True)
    assert "data.dvc must describe the archive" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_mirror_beside_an_own_archive_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fetch.main(["--url", "http://127.0.0.1:9/UCF50.rar", "--adopt", "UCF50.rar"])
    assert "argument --adopt: not allowed with argument --url" in capsys.readouterr().err
