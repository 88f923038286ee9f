"""What a process runs, from the moment of its start."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from actreel.base.processes import STARTING, command_line


class Starting(psutil.Process):
    """A process that shows its command line at the third look, as Linux does right after exec."""

    seen = 0
    age = 0.0
    program = "/usr/bin/python"

    def cmdline(self) -> list[str]:
        self.seen += 1
        return ["python", "-m", "served"] if self.seen > 2 else []

    def exe(self) -> str:
        return self.program

    def create_time(self) -> float:
        return time.time() - self.age


def test_a_process_that_starts_is_waited_for() -> None:
    assert command_line(Starting()) == ["python", "-m", "served"]


def test_one_that_has_none_is_not_waited_for() -> None:
    old, kernel_thread = Starting(), Starting()
    old.age = STARTING + 1
    kernel_thread.program = ""
    for process in (old, kernel_thread):
        assert command_line(process) == []
        assert process.seen == 1


def test_a_real_process_right_after_its_start_and_after_its_end() -> None:
    command = [sys.executable, "-c", "input()", "served"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        seen = psutil.Process(process.pid)
        assert command_line(seen) == command
        process.communicate(b"\n")
    with pytest.raises(psutil.Error):
        command_line(seen)
