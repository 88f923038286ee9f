"""Work on many clips at once: one process a core, a progress bar with clips/s and time left."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from tqdm import tqdm

from actreel.errors import DatasetError

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 4
"""Items handed out for each worker."""


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
    on_crash: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """Applies `function` to each item in worker processes and gives the results in the order of the items.

    A broken video can crash a decoder and its whole process with it. The items that were in flight are then done
    again one at a time, which tells whose fault it was, and the work goes on.

    Args:
        function: Importable by name (a module's own function or a `functools.partial` of one).
        items: What to work on.
        label: What the progress bar on stderr says.
        unit: What one item is called.
        workers: Processes; all cores if None.
        on_crash: Gives the result for an item that kills its process, in this process; None makes that an error.

    Raises:
        DatasetError: An item killed its process even when done alone; the message names it.
    """
    with tqdm(desc=label, total=len(items), unit=unit, dynamic_ncols=True) as bar:
        for result in _in_order(function, deque(items), min(workers or num_cores(), len(items) or 1), unit, on_crash):
            bar.update()
            yield result


def _in_order(
    function: Callable[[Item], Result],
    waiting: deque[Item],
    workers: int,
    unit: str,
    on_crash: Callable[[Item], Result] | None,
) -> Iterator[Result]:
    while waiting:
        flying: deque[tuple[Item, Future[Result]]] = deque()
        pool = _pool(workers)
        try:
            while waiting or flying:
                # Few at a time: results do not pile up where they are used more slowly, and suspects stay few.
                while waiting and len(flying) < IN_FLIGHT * workers:
                    flying.append((waiting[0], pool.submit(function, waiting[0])))
                    waiting.popleft()
                result = flying[0][1].result()
                flying.popleft()
                yield result
        except BrokenProcessPool:
            pass
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        for item, future in flying:
            done = future.done() and not future.cancelled() and future.exception() is None
            yield future.result() if done else _alone(function, item, unit, on_crash)


def _alone(
    function: Callable[[Item], Result], item: Item, unit: str, on_crash: Callable[[Item], Result] | None
) -> Result:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool as error:
            if on_crash is not None:
                return on_crash(item)
            raise DatasetError(
                f"a process must live until its {unit} is done. Received: '{item}', which kills any that works on it. "
                f"Is that {unit} damaged, or is there too little memory? Replace or remove it."
            ) from error


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork of a process with threads (Arrow's, TensorFlow's) can hang.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
