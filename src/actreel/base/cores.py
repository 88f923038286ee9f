"""What there is to work with: the cores of this machine, or a Dask cluster that the environment names."""

from __future__ import annotations

import os

SCHEDULER_VARIABLE = "ACTREEL_SCHEDULER"
"""The address of a Dask scheduler, such as `tcp://host:8786`. No parameter: the results are the same without it."""


def num_cores() -> int:
    """Cores that this process may use; in a container, fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scheduler_address() -> str | None:
    """The Dask scheduler whose workers do the work; None if this machine does it."""
    return os.environ.get(SCHEDULER_VARIABLE) or None
