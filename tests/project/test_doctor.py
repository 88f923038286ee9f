"""The checks, each in a process of its own: what one of them meets, the others do not notice."""

import sys
from pathlib import Path

import pytest

from actreel.project import doctor
from actreel.project.doctor import check, examine
from actreel.project.findings import Finding

BREAK = """
import sys
from importlib.abc import MetaPathFinder

class Broken(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "av":
            import os, signal
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "numpy":
            raise ImportError("libblas.so: cannot open shared object file")
        if name == "psutil":
            raise ModuleNotFoundError("No module named 'psutil'", name="psutil")

sys.meta_path.insert(0, Broken())
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is no project's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_library_that_crashes_fails_to_load_or_is_missing_takes_no_other_check_down(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "sitecustomize.py").write_text(BREAK, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path])
    found = dict(examine(("codecs", "model", "memory", "python", "ffmpeg")))
    assert list(found) == ["codecs", "model", "memory", "python", "ffmpeg"]
    assert found["python"].ok
    assert not found["model"].ok
    assert found["model"].said.startswith("a library cannot be loaded: libblas.so")
    assert found["model"].needed
    assert (found["memory"].ok, found["memory"].needed) == (False, False)
    assert "psutil is not installed" in found["memory"].said
    assert not found["codecs"].ok
    assert "libblas.so" in found["codecs"].said or "SIGSEGV" in found["codecs"].said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV: a library is broken"),
        ("import sys; sys.exit('double free')", "double free"),
        ("import time; time.sleep(60)", "did not end within 0.2 s"),
    ],
)
def test_what_a_process_can_do_instead_of_an_answer(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    (elsewhere / "sitecustomize.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path])
    if "sleep" in code:
        monkeypatch.setattr(doctor, "TIMEOUT_S", 0.2)
    ((_, found),) = examine(["python"])
    assert (found.ok, found.needed, found.fix) == (False, True, "rm -rf .venv && make setup")
    assert said in found.said


def test_what_a_library_prints_is_passed_over(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "sitecustomize.py").write_text("print('{}')", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path])
    ((_, found),) = examine(["python"])
    assert found.ok


def test_every_check_answers_outside_of_a_project(elsewhere: Path) -> None:
    for name in ("python", "packages", "settings", "codecs", "model", "mlflow", "dvc", "disk", "memory", "folders"):
        found = check(name)
        assert isinstance(found, Finding)
        assert not found.needed, (name, found)
    assert list(elsewhere.iterdir()) == [], "looking makes nothing"


def test_any_exception_becomes_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from actreel.errors import ConfigError
    from actreel.project import machine

    for error, said in (
        (ConfigError("params.yaml is wrong."), "params.yaml is wrong."),
        (OSError(28, "No space left on device", "/tmp/x"), "could not be written completely"),  # noqa: S108
        (RuntimeError("first\nsecond"), "RuntimeError: first"),
        (ImportError("no libcuda"), "a library cannot be loaded: no libcuda"),
    ):

        def fail(error: Exception = error) -> Finding:
            raise error

        monkeypatch.setattr(machine, "ffmpeg", fail)
        found = check("ffmpeg")
        assert (found.ok, found.needed) == (False, True)
        assert said in found.said
        assert "second" not in found.said
