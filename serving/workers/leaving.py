"""How a worker ends: at once when the service stops, and after draining when a new worker replaces it.

On SIGHUP, BentoML's supervisor starts new workers and sends SIGTERM to the old ones at the same time. If they ended at
once, no worker would answer until a new one is ready, and requests on kept-alive connections would be lost.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from types import FrameType

import psutil
import uvicorn

from serving.bentoml_internals import is_worker
from serving.workers.scratch import Scratch

LONGEST_START_S = 30.0
POLL_S = 0.1
LAST_REQUESTS_S = 2.0
"""How long connections that are open may still bring a request after the last one was accepted."""


class Leaving:
    """Handles SIGTERM.

    Attributes:
        begun: A new worker is replacing this one, so connections are closed after each answer.
        hurry: Set by a second SIGTERM: end without waiting for jobs.
    """

    def __init__(self, scratch: Scratch) -> None:
        self.begun = False
        self.hurry = asyncio.Event()
        self._scratch = scratch
        self._waiting: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Handles SIGTERM before the server does; call it on the server's running event loop."""
        ending = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or not callable(ending):
            return
        loop = asyncio.get_running_loop()

        async def end(number: int) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_START_S):
                    while await asyncio.to_thread(self._replacement_starts):
                        await asyncio.sleep(POLL_S)
            await _last_requests(ending)
            ending(number, None)

        def begin(number: int) -> None:
            if self.begun:
                self.hurry.set()
                ending(number, None)
            elif self._replacement_starts():
                self.begun = True
                self._waiting = asyncio.create_task(end(number))
            else:
                ending(number, None)

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(begin, number)

        signal.signal(signal.SIGTERM, handle)

    def _replacement_starts(self) -> bool:
        """Whether the supervisor has started a younger worker that is not ready yet."""
        mine = psutil.Process()
        if not is_worker(mine):
            return False
        ready = self._scratch.ready_workers()
        with suppress(psutil.Error):
            for other in psutil.Process(os.getppid()).children():
                with suppress(psutil.Error):
                    younger = other.create_time() > mine.create_time()
                    if younger and other.pid not in ready and is_worker(other):
                        return True
        return False


async def _last_requests(ending: object) -> None:
    """Accepts no more connections, and waits for the requests of those that are open.

    The server closes a connection whose request has not arrived yet, and a visitor who has just connected to it would
    get no answer. From here on the new worker accepts.

    Args:
        ending: uvicorn's handler of the signal, a method of its server.
    """
    server = getattr(ending, "__self__", None)
    if not isinstance(server, uvicorn.Server):
        return
    for listener in server.servers:
        listener.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_REQUESTS_S):
            while server.server_state.connections:
                await asyncio.sleep(POLL_S)
