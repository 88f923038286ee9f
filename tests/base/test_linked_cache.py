import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actreel.base.linked_cache import drop_damaged
from actreel.base.places import DVC_CACHE, DVC_CACHE_CHECKED
from tests.conftest import ROOT

STAGE = "stages: {one: {cmd: cp -r source one, deps: [source], outs: [one]}}\n"


def dvc(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_commands: None) -> Path:
    """A file that a stage made, in a repository with the project's DVC settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    (tmp_path / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", ".dvc")
    dvc("config", "core.no_scm", "true")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"content" * 1000)
    (tmp_path / "dvc.yaml").write_text(STAGE, encoding="utf-8")
    dvc("repro")
    return Path("one/file")


def test_an_output_is_linked_read_only_and_a_damaged_one_is_made_again(
    linked: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digest = hashlib.md5(linked.read_bytes(), usedforsecurity=False).hexdigest()
    cached = DVC_CACHE / digest[:2] / digest[2:]
    if not linked.samefile(cached):
        pytest.skip("this file system has no hard links")
    assert linked.stat().st_mode & 0o222 == 0
    drop_damaged()
    os.chmod(linked, 0o644)  # noqa: PTH101
    linked.write_bytes(b"other")
    os.chmod(linked, 0o444)  # noqa: PTH101
    dvc("repro")
    assert linked.read_bytes() == b"other", "DVC trusts its cache; if it no longer does, drop_damaged is not needed"
    drop_damaged()
    assert f"'{cached}' in DVC's cache is damaged" in caplog.text
    dvc("repro")
    assert linked.read_bytes() == b"content" * 1000


def test_only_what_changed_since_the_last_check_is_read_and_what_is_whole_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    drop_damaged()
    assert not DVC_CACHE_CHECKED.exists(), "there is no cache"
    contents = {"whole": b"1", "folder.dir": b"2", "damaged": b"3", "old": b"4"}
    files = {}
    for name, content in contents.items():
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        files[name] = DVC_CACHE / digest[:2] / (digest[2:] + Path(name).suffix)
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_bytes(content if name in ("whole", "folder.dir") else b"")
    DVC_CACHE_CHECKED.parent.mkdir(parents=True)
    DVC_CACHE_CHECKED.touch()
    before = DVC_CACHE_CHECKED.stat().st_mtime - 60
    for name, file in files.items():
        os.utime(file, (before, before) if name == "old" else None)
    os.utime(DVC_CACHE_CHECKED, (before + 30, before + 30))
    drop_damaged()
    assert {name for name, file in files.items() if file.exists()} == {"whole", "folder.dir", "old"}


def test_a_check_that_was_interrupted_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    damaged = DVC_CACHE / "00" / ("1" * 30)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"other")
    with monkeypatch.context() as broken:
        broken.setattr(hashlib, "file_digest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            drop_damaged()
    assert not DVC_CACHE_CHECKED.exists()
    drop_damaged()
    assert not damaged.exists()
