"""Processes many clips at once: one process per core, and a progress bar with clips/s and time left."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import TypeVar

from actreel.base.cores import num_cores
from actreel.base.progress import tracked
from actreel.errors import DatasetError

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 4
"""Items in flight for each worker."""


def map_on_cores(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    label: str,
    unit: str = "clip",
    workers: int | None = None,
    on_crash: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """Applies `function` to each item in worker processes and yields the results in the order of the items.

    A broken video can crash the decoder and with it the whole process. Items that were in flight are then retried one
    at a time, which shows the one at fault, and the work continues.

    Args:
        function: Importable by name (a module's own function or a `functools.partial` of one).
        items: What to work on.
        label: Label of the progress bar.
        unit: What one item is called.
        workers: Number of processes; one per core if None.
        on_crash: Called in this process for an item that crashes its worker, to give its result; None raises instead.

    Raises:
        DatasetError: An item crashed its worker even on its own; the message names it.
    """
    workers = min(workers or num_cores(), len(items) or 1)
    results = _in_order(function, deque(items), workers, unit, on_crash)
    yield from tracked(results, label, len(items), unit=unit)


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
                # Few at a time: results do not pile up if the caller is slow, and a crash leaves few suspects.
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
            raise crash_error(item, unit) from error


def crash_error(item: object, unit: str = "clip") -> DatasetError:
    """Names an item that ends the process which works on it."""
    return DatasetError(
        f"every {unit} must be processed without a crash. Received: '{item}', which crashes its process. "
        f"Replace or remove that {unit}; if it is fine, free some memory."
    )


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork of a process with threads (Arrow's, TensorFlow's) can hang.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent)


def end_with_parent() -> None:
    """Ends this worker process as soon as the process that started it has died, however it died.

    A worker waits for work on a pipe that other workers hold open too: without this, it would wait forever.
    """
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
