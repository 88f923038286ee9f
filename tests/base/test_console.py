import gc
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actreel.base.console import LEVEL_VARIABLE, OURS, can_print, configure_logging, exit_cleanly
from actreel.errors import ConfigError, DatasetError

PROGRAM = """
import logging
from actreel.base.console import exit_cleanly

def main():
    log = logging.getLogger("actreel.somewhere")
    log.debug("details")
    log.info("3 clips")
    log.warning("1 clip is missing")
    logging.getLogger("library").info("chatter")

exit_cleanly(main)
"""


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    before = {name: logging.getLogger(name).level for name in OURS}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def lines_of_program(level: str | None) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != LEVEL_VARIABLE}
    environment |= {LEVEL_VARIABLE: level} if level else {}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
    assert not done.stdout
    return done.stderr.splitlines()


def test_results_are_plain_and_warnings_are_marked() -> None:
    assert lines_of_program(None) == ["3 clips", "warning: 1 clip is missing"]


def test_the_environment_sets_the_level() -> None:
    assert lines_of_program("warning") == ["warning: 1 clip is missing"]
    assert lines_of_program("DEBUG")[0] == "debug: actreel.somewhere: details"
    assert lines_of_program("loud") == [
        "error: ACTREEL_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR. Received: 'LOUD'"
    ]


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEVEL_VARIABLE, "ERROR")
    configure_logging(logging.DEBUG)
    assert logging.getLogger("actreel.somewhere").isEnabledFor(logging.DEBUG)


def test_an_unknown_level_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEVEL_VARIABLE, "loud")
    with pytest.raises(ConfigError, match="Received: 'LOUD'"):
        configure_logging()


def test_a_user_s_error_ends_with_a_message_and_status_1() -> None:
    program = "from actreel.base.console import exit_cleanly\nfrom actreel.errors import DatasetError\n"
    program += "def main(): raise DatasetError('no clips')\nexit_cleanly(main)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: no clips\n")


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (DatasetError("no clips"), "error: no clips")]
)
def test_exit_status(error: BaseException, status: int | str) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as exit_:
        exit_cleanly(main)
    assert exit_.value.code == status


def test_other_errors_keep_their_traceback() -> None:
    def main() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        exit_cleanly(main)


PRINTING = """
import sys
from actreel.base.console import exit_cleanly
from actreel.errors import DatasetError

def main():
    for number in range(int(sys.argv[1])):
        print("Öffnen \u2588", number)
    if len(sys.argv) > 2:
        raise DatasetError("ende \u00fc")

exit_cleanly(main)
"""


def printing(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """A program that prints; `unbuffered` writes each line at once, as in many containers."""
    settings = {"PYTHONIOENCODING": options.pop("encoding", "utf-8")}
    settings |= {"PYTHONUNBUFFERED": "1"} if options.pop("unbuffered", False) else {}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | settings
    command = [sys.executable, "-c", PRINTING, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, **options)


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("lines", [1, 100_000], ids=["fits a buffer", "does not"])
def test_a_reader_that_goes_away_is_no_error(lines: int, unbuffered: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with printing(str(lines), stdout=writing, unbuffered=unbuffered) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_full_disk_is_a_message(unbuffered: bool) -> None:
    with Path("/dev/full").open("wb") as full, printing("1", stdout=full, unbuffered=unbuffered) as process:
        assert process.stderr is not None
        assert process.stderr.read() == b"error: The output cannot be written: No space left on device.\n"
    assert process.returncode == 1


@pytest.mark.parametrize(("encoding", "expected"), [("ascii", b"\\xd6ffnen"), ("latin-1", b"\xd6ffnen")])
def test_letters_that_the_output_lacks_are_escaped(encoding: str, expected: bytes) -> None:
    with printing("1", "fail", stdout=subprocess.PIPE, encoding=encoding) as process:
        out, err = process.communicate()
    assert out == expected + b" \\u2588 0\n"
    assert b"Traceback" not in err
    assert err.startswith(b"error: ende ")


def test_what_was_imported_is_left_out_of_garbage_collections() -> None:
    left_out: list[int] = []
    before = gc.get_freeze_count()
    imported = [[] for _ in range(1000)]  # type: ignore[var-annotated]
    exit_cleanly(lambda: left_out.append(gc.get_freeze_count()))
    assert left_out[0] >= before + len(imported)


def test_a_broken_pipe_of_another_kind_keeps_its_traceback() -> None:
    def main() -> None:
        raise BrokenPipeError("a decoder's")

    with pytest.raises(BrokenPipeError, match="decoder"):
        exit_cleanly(main)


@pytest.mark.parametrize(("encoding", "can"), [("utf-8", True), ("latin-1", False), ("ascii", False)])
def test_what_can_be_printed(encoding: str, can: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert can_print("\u2588") is can
    assert can_print("x")
    assert not can_print("caf\udce9.mp4"), "a file name that is no text"


@pytest.mark.parametrize("module", ["pipelines.train", "actreel.cli, actreel.inference.classifier"])
def test_too_little_memory_to_import_is_a_message(module: str) -> None:
    """32 MB are too few for libavcodec and ONNX Runtime.

    OpenBLAS and other libraries in C++ end the process themselves where there is no memory, so they are loaded before.
    """
    program = (
        "import numpy, pandas, scipy.special, sklearn.linear_model, resource\n"
        "limit = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + 2**25\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\nimport {module}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode != 0  # libraries may crash on the way out
    assert "error: There is not enough memory (" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_while_importing_keeps_its_traceback() -> None:
    program = "from actreel.base.console import explain_failed_imports\nexplain_failed_imports()\nimport nothing_at_all"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ModuleNotFoundError: No module named 'nothing_at_all'" in done.stderr
