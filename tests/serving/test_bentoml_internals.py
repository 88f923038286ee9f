"""After an upgrade of BentoML: each test says which of its internals has changed, and what to do about it."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvicorn
from _bentoml_impl.server.serving import _SERVICE_WORKER_SCRIPT
from _bentoml_impl.worker import service as worker_service
from bentoml._internal.configuration.v2 import _SERVICE_CONFIG
from bentoml._internal.server.base_app import BaseAppFactory
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from schema import SchemaError

from serving.bentoml_internals import WORKER_MODULE, is_worker, limit_websockets, turn_off_request_timer
from tests.conftest import ROOT


async def timers_after_a_request(middleware: TimeoutMiddleware) -> int:
    """How many timers the event loop still has after a request was answered."""

    async def ignore(*_: Any) -> None:
        pass

    await middleware({"type": "http"}, ignore, ignore)
    return len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]


async def answer(scope: object, receive: object, send: Any) -> None:
    await send({"type": "http.response.start"})


def test_the_timer_is_kept_by_bentoml_and_not_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimeoutMiddleware, "__call__", TimeoutMiddleware.__call__)  # restored after the test
    middleware = TimeoutMiddleware(answer, timeout=60)
    kept = asyncio.run(timers_after_a_request(middleware))
    assert kept == 1, "BentoML no longer keeps a timer for an answered request: remove turn_off_request_timer"
    turn_off_request_timer()
    kept = asyncio.run(timers_after_a_request(middleware))
    assert kept == 0, "turn_off_request_timer has no effect"


def test_requests_pass_that_middleware() -> None:
    class Application(BaseAppFactory):
        name = "actreel"

        async def livez(self, _: Any = None) -> Any: ...
        async def readyz(self, _: Any = None) -> Any: ...

    used = [middleware.cls for middleware in Application(timeout=60).middlewares]
    assert TimeoutMiddleware in used, "BentoML times requests elsewhere: look in base_app.py for the new middleware"


def test_no_timeout_cannot_be_set() -> None:
    traffic = next(value for key, value in _SERVICE_CONFIG.items() if key.schema == "traffic")
    try:
        traffic["timeout"].validate(None)
    except SchemaError:
        return
    pytest.fail("traffic.timeout may be None now: set it in serving/service.py, remove turn_off_request_timer")


def test_websockets_are_limited_where_bentoml_starts_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Config, "__init__", uvicorn.Config.__init__)  # restored after the test
    started = inspect.getsource(worker_service)
    assert "uvicorn.Config(" in started, "BentoML starts its server otherwise: look in worker/service.py"
    assert "ws_" not in started, "BentoML sets WebSockets' limits now: look whether limit_websockets is needed"
    assert uvicorn.Config("app", log_config=None).ws_per_message_deflate
    limit_websockets(1000)
    config = uvicorn.Config("app", log_config=None)
    assert (config.ws_max_size, config.ws_per_message_deflate, config.log_config) == (1000, False, None)


def test_workers_run_that_module() -> None:
    assert _SERVICE_WORKER_SCRIPT == WORKER_MODULE, "workers run another module: change WORKER_MODULE"


def test_a_worker_is_known_by_its_command() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen([*command, WORKER_MODULE], stdin=subprocess.PIPE) as worker:
        assert is_worker(psutil.Process(worker.pid))
        assert not is_worker(psutil.Process())
        worker.communicate(b"\n")


def test_the_internals_are_imported_in_one_file_only() -> None:
    for folder in ("serving", "src", "pipelines"):
        for path in (ROOT / folder).rglob("*.py"):
            if path != ROOT / "serving/bentoml_internals.py":
                text = Path(path).read_text(encoding="utf-8")
                assert "bentoml._internal" not in text, path
                assert "_bentoml" not in text, path
