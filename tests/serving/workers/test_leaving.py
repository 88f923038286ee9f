"""A worker that is replaced answers whoever has connected to it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.workers import leaving
from serving.workers.scratch import Scratch
from tests.conftest import patience


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello", headers={"Connection": "close"})


def test_a_request_that_arrives_after_its_connection_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn raises the signal again when it has ended
    monkeypatch.setattr(leaving, "LAST_REQUESTS_S", patience(10))
    config = uvicorn.Config(Starlette(routes=[Route("/", hello)]), port=0, log_level="error", lifespan="off")
    try:
        with closing(Scratch(tmp_path)) as scratch:
            answer, refused = asyncio.run(visit_late(uvicorn.Server(config), leaving.Leaving(scratch), monkeypatch))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert answer.endswith(b"hello")
    assert refused, "only the new worker accepts connections"


async def visit_late(
    server: uvicorn.Server, worker: leaving.Leaving, monkeypatch: pytest.MonkeyPatch
) -> tuple[bytes, bool]:
    """Connects, lets the worker be replaced, and only then sends the request; whether another may still connect."""
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not server.server_state.connections:
        await asyncio.sleep(0.01)

    starting = [True]
    monkeypatch.setattr(worker, "_replacement_starts", lambda: starting[0])
    worker.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    while not worker.begun:
        await asyncio.sleep(0.01)
    starting[0] = False
    while server.servers[0].is_serving():
        await asyncio.sleep(0.01)
    try:
        await asyncio.open_connection("127.0.0.1", port)
        refused = False
    except OSError:
        refused = True
    writer.write(b"GET / HTTP/1.1\r\nHost: actreel\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await serving
    return answer, refused
