"""What a process runs."""

from __future__ import annotations

import time

import psutil

STARTING = 3
"""A process younger than this, in seconds, may still be starting. The kernel knows its age to about a second."""


def command_line(process: psutil.Process) -> list[str]:
    """A process's command line; that of one which has just been started is waited for.

    Linux shows an empty command line until a new program has been loaded. Kernel threads have no command line and no
    program, and are not waited for.

    Raises:
        psutil.Error: The process has ended, or is another user's.
    """
    while not (command := list(process.cmdline())):
        if not process.exe() or time.time() - process.create_time() >= STARTING:
            break
        time.sleep(0.001)
    return command
