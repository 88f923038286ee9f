"""What this service uses of BentoML beyond its public interface, with the reason why no public way will do.

Checked against BentoML 1.4.39 and 1.4.40; tests/serving/test_bentoml_internals.py says what an upgrade has changed.
"""

from __future__ import annotations

from functools import partialmethod
from typing import Any

import psutil
from starlette.types import Receive, Scope, Send

from actreel.base.processes import command_line

WORKER_MODULE = "_bentoml_impl.worker.service"
"""The module that BentoML's supervisor runs as a worker, with `python -m`."""


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is a BentoML worker. BentoML has no list of its workers; they are the supervisor's children.

    Raises:
        psutil.Error: The process has ended.
    """
    return WORKER_MODULE in command_line(process)


def turn_off_request_timer() -> None:
    """Turns off BentoML's timeout for requests, in this process.

    Its middleware keeps 4 KB of every request until the timeout has passed, however early the request was answered: at
    15 requests a second, 4 MB a minute. The setting `traffic.timeout` must be a positive number, and no number fits:
    an upload may take hours. Our own deadlines at each step replace it.
    """
    # Imported here: `serving.release` needs only the name of the worker's module.
    from bentoml._internal.server.http.traffic import TimeoutMiddleware

    async def pass_on(self: TimeoutMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    TimeoutMiddleware.__call__ = pass_on


def limit_websockets(max_bytes: int) -> None:
    """Limits the messages of WebSockets, in this process, before the server collects or unpacks them.

    BentoML starts uvicorn with its defaults, which no setting of BentoML's reaches: messages of 16 MB, and compressed
    ones, of which 256 KB unpack to 256 MB. A frame of a camera is short, and is not compressed.

    Args:
        max_bytes: The largest message.
    """
    import uvicorn

    uvicorn.Config.__init__ = partialmethod(  # type: ignore[method-assign,assignment]
        uvicorn.Config.__init__, **socket_options(max_bytes)
    )


def socket_options(max_bytes: int) -> dict[str, Any]:
    """Those limits as uvicorn's own options."""
    return {"ws_max_size": max_bytes, "ws_per_message_deflate": False}
