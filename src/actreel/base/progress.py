"""Progress of long work: a bar on a terminal, and a log line every few seconds elsewhere.

The service does not import this module: it needs tqdm.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Self, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

Item = TypeVar("Item")

LOG_INTERVAL_S = 10.0
"""Seconds between two lines in a log file."""

log = logging.getLogger(__name__)


class Progress:
    """Counts finished items and shows count, rate and time left; silent where INFO messages are (`--quiet`).

        with Progress("extract", total=480) as progress:
            for clip in clips:
                ...
                progress.update()

    Attributes:
        done: Items finished so far.
    """

    def __init__(self, label: str, total: int | None, *, unit: str = "clip", done: int = 0) -> None:
        """Starts counting.

        Args:
            label: What is being done, in a word.
            total: Items in all; None if unknown.
            unit: What one item is called; `B` shows bytes as kB, MB and so on.
            done: Items that were finished before, which do not count for the rate.
        """
        self.done = done
        self._label, self._total, self._unit, self._before = label, total, unit, done
        self._on_terminal = sys.stderr.isatty()
        self._started = self._logged = time.monotonic()
        self._bar = tqdm(
            desc=label,
            total=total,
            initial=done,
            unit=unit,
            unit_scale=unit == "B",
            dynamic_ncols=True,
            disable=not (self._on_terminal and log.isEnabledFor(logging.INFO)),
        )
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._on_terminal:
            # Log lines are printed above the bar instead of into it.
            self._open.enter_context(logging_redirect_tqdm())
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._open.close()
        if not self._on_terminal:
            self._log()

    def update(self, count: int = 1) -> None:
        """Counts `count` more items as finished."""
        self.done += count
        self._bar.update(count)
        if not self._on_terminal and time.monotonic() - self._logged >= LOG_INTERVAL_S:
            self._log()

    def _log(self) -> None:
        self._logged = time.monotonic()
        line = tqdm.format_meter(
            self.done,
            self._total or 0,
            self._logged - self._started,
            ncols=0,  # numbers only, no bar
            prefix=self._label,
            unit=self._unit,
            unit_scale=self._unit == "B",
            initial=self._before,
        )
        log.info(line)


def tracked(items: Iterable[Item], label: str, total: int, *, unit: str = "clip") -> Iterator[Item]:
    """Yields the items and shows the progress of the loop over them; see `Progress`."""
    with Progress(label, total, unit=unit) as progress:
        for item in items:
            yield item
            progress.update()
