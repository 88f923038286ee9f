"""A bad clock or a slow disk, inside one Python process. Python imports this file by its name at the start."""

import builtins
import os
import time
from typing import Any

if jump := float(os.environ.get("CHAOS_CLOCK_JUMP_S", 0)):
    real, began = time.time, time.monotonic()
    time.time = lambda: real() + (jump if time.monotonic() - began > 1 else 0)

if pause := float(os.environ.get("CHAOS_SLOW_DISK_S", 0)):

    def slowed(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            time.sleep(pause)
            return function(*arguments, **options)

        return call

    for name in ("fsync", "replace", "rename", "link", "mkdir"):
        setattr(os, name, slowed(getattr(os, name)))
    plain_open = builtins.open

    def slow_open(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode or "a" in mode:
            time.sleep(pause)
        return plain_open(file, mode, *arguments, **options)

    builtins.open = slow_open
