import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from actreel.base.console import LEVEL_VARIABLE, OURS, configure_logging, exit_cleanly
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


@pytest.mark.parametrize("module", ["pipelines.train", "actreel.cli"])
def test_too_little_memory_to_import_is_a_message(module: str) -> None:
    """256 MB are too few for the libraries of both."""
    program = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28)); import {module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode != 0  # libraries may crash on the way out
    assert "error: There is not enough memory (" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_while_importing_keeps_its_traceback() -> None:
    program = "from actreel.base.console import explain_failed_imports\nexplain_failed_imports()\nimport nothing_at_all"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ModuleNotFoundError: No module named 'nothing_at_all'" in done.stderr
