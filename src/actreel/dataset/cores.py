"""Work on many clips at once: one process a core, a progress bar with clips/s and time left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from tqdm import tqdm

from actreel.errors import DatasetError

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_on_cores(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    label: str,
    unit: str = "clip",
    workers: int | None = None,
) -> Iterator[Result]:
    """Applies `function` to each item in worker processes and gives the results in the order of the items.

    Args:
        function: Importable by name (a module's own function or a `functools.partial` of one).
        items: What to work on.
        label: What the progress bar on stderr says.
        unit: What one item is called.
        workers: Processes; all cores if None.

    Raises:
        DatasetError: A worker died, as when the machine runs out of memory.
    """
    # Spawned, not forked: a fork of a process with threads (Arrow's, TensorFlow's) can hang.
    pool = ProcessPoolExecutor(workers or num_cores(), mp_context=get_context("spawn"))
    try:
        results = pool.map(function, items, chunksize=4 if len(items) > 64 else 1)
        yield from tqdm(results, desc=label, total=len(items), unit=unit, dynamic_ncols=True)
    except BrokenProcessPool as error:
        raise DatasetError(
            f"a worker must live until its {unit} is done. Received: a worker that was killed while doing '{label}'. "
            "Is there enough memory? Run the same command again to go on."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
