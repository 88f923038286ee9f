"""How a worker ends: at once when the service stops, and unnoticed when another takes its place.

BentoML's supervisor, on SIGHUP, starts new workers and tells the old ones to end in the same moment. For the seconds
until a new one is ready nobody would answer, and calls on connections that were kept open would be lost.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from types import FrameType

import psutil

from serving.workers.scratch import Scratch

WORKER = "_bentoml_impl.worker.service"
"""What BentoML's workers run, as `python -m`."""

LONGEST_START_S = 30.0
POLL_S = 0.1


class Leaving:
    """What becomes of SIGTERM.

    Attributes:
        begun: A new worker is to take this one's place: no connection is to be kept open.
        hurry: Told to end a second time: nothing is to be waited for any more.
    """

    def __init__(self, scratch: Scratch) -> None:
        self.begun = False
        self.hurry = asyncio.Event()
        self._scratch = scratch
        self._waiting: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Comes between SIGTERM and the server that handles it; to be called while the server's loop runs."""
        ending = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or not callable(ending):
            return
        loop = asyncio.get_running_loop()

        async def end(number: int) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_START_S):
                    while await asyncio.to_thread(self._someone_starts):
                        await asyncio.sleep(POLL_S)
            ending(number, None)

        def begin(number: int) -> None:
            if self.begun:
                self.hurry.set()
                ending(number, None)
            elif self._someone_starts():
                self.begun = True
                self._waiting = asyncio.create_task(end(number))
            else:
                ending(number, None)

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(begin, number)

        signal.signal(signal.SIGTERM, handle)

    def _someone_starts(self) -> bool:
        """Whether the supervisor has a younger worker than this one that is not ready yet."""
        mine = psutil.Process()
        ready = self._scratch.ready_workers()
        with suppress(psutil.Error):
            for other in psutil.Process(os.getppid()).children():
                with suppress(psutil.Error):
                    younger = other.create_time() > mine.create_time()
                    if younger and other.pid not in ready and {WORKER} <= {*other.cmdline()} & {*mine.cmdline()}:
                        return True
        return False
