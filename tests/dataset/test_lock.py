import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from actreel.dataset.lock import exclusive_lock
from tests.conftest import patience

HOLDER = """
import sys
from pathlib import Path
from actreel.dataset.lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_waits_until_the_first_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = tmp_path / "folder" / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    entered = threading.Event()

    def enter() -> None:
        with exclusive_lock(lock):
            entered.set()

    with caplog.at_level(logging.WARNING):
        waiting = threading.Thread(target=enter)
        waiting.start()
        deadline = time.monotonic() + patience(10)
        while "waiting: another process" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not entered.is_set()
        holder.kill()
        waiting.join(timeout=patience(10))
    assert entered.is_set()
    assert f"waiting: another process is writing to '{lock.parent}'" in caplog.text
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with exclusive_lock(tmp_path / ".lock") as descriptor:
            assert descriptor > 2
    assert not caplog.text
