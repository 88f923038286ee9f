"""Checks every request's key, origin, rate, body size and speed, and adds the security headers to every answer."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.answers import Problem, Refusal, RefusalError, gone
from serving.callers import check_caller, has_ticket
from serving.metrics import REQUEST_SECONDS
from serving.refusals import refused
from serving.settings import Settings
from serving.uploads import too_large

log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
KNOWN_METHODS = SAFE_METHODS | {"POST", "DELETE", "PUT", "PATCH", "WEBSOCKET"}
VIDEO_PATHS = frozenset({"/predict_file", "/jobs"})
"""Paths whose bodies are streamed to disk; any other body is held in memory, so it must be short."""

SOCKET_PATH = "/camera"
"""The only path of a WebSocket."""

SHORT_BODY = FORM_OVERHEAD = 64 * 2**10
SWITCHED = 101
"""The status of a WebSocket that was opened, in the log and the metrics."""

VIDEO_COST = 10
"""A call with a video counts as this many calls."""

# A client that is still sending when the connection is reset never reads its refusal, so we read on for a while.
DRAIN_BYTES = 8 * 2**20
DRAIN_S = 1.5

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


NO_CAMERA = {"Permissions-Policy": "camera=(), geolocation=(), microphone=()"}
"""In place of those above, where the operator has switched cameras off."""


class RateLimit:
    """A token bucket per client, refilled steadily; it holds at most half a minute's calls."""

    def __init__(self, per_minute: float, max_clients: int = 10_000) -> None:
        self._per_s = per_minute / 60
        self._full = max(per_minute / 2, float(VIDEO_COST))
        self._max_clients = max_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, cost: float, now: float) -> float:
        """Takes calls from a client's bucket.

        Returns:
            0, or the seconds until there are enough calls; then nothing was taken.
        """
        left, then = self._buckets.pop(client, (self._full, now))
        left = min(self._full, left + (now - then) * self._per_s)
        wait = max(0.0, (cost - left) / self._per_s)
        self._buckets[client] = (left if wait else left - cost, now)
        if len(self._buckets) > self._max_clients:
            self._buckets.popitem(last=False)
        return wait


class Body:
    """A request's body as it arrives, with limits on its size and on how slow its sender may be."""

    def __init__(self, receive: Receive, max_bytes: int, settings: Settings) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._settings = settings
        self._started: float | None = None
        self._size = 0
        self.complete = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            RefusalError: The body is too large, its sender is too slow, or the client has left.
        """
        if self.complete:
            return await self._receive()
        now = time.monotonic()
        if self._started is None:
            self._started = now
        allowed_s = self._settings.slow_sender_s + self._size / self._settings.min_bytes_per_s
        try:
            async with asyncio.timeout(self._started + allowed_s - now):
                message = await self._receive()
        except TimeoutError as error:
            raise RefusalError(
                408,
                "too_slow",
                f"The upload is too slow: it must arrive at {self._settings.min_bytes_per_s / 1024:g} KB/s at least.",
                "Try again on a faster connection, or send a smaller video.",
            ) from error
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self._size > self._max_bytes:
                raise too_large("body", self._max_bytes)
        else:
            self.complete = True  # nothing more will come
            raise gone()
        return message

    async def drain(self) -> None:
        """Reads what a refused client is still sending, up to `DRAIN_BYTES` and for `DRAIN_S` at most."""
        try:
            async with asyncio.timeout(DRAIN_S):
                size = 0
                while not self.complete and size < DRAIN_BYTES:
                    message = await self._receive()
                    size += len(message.get("body", b""))
                    self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        except TimeoutError:
            return


class Answer:
    """The answer to one request, on its way to the client.

    Attributes:
        request_id: Names the request in the answer and in the log.
        status: The HTTP status; 0 before the answer begins.
        whole: Whether its last part was sent. An event stream ends without one if its client leaves.
    """

    def __init__(self, scope: Scope, send: Send, body: Body, headers: Mapping[str, str]) -> None:
        self.request_id = secrets.token_hex(8)
        self.status = 0
        self.whole = False
        self._scope = scope
        self._send = send
        self._body = body
        self._headers = headers

    async def send(self, message: Message) -> None:
        """Sends a message, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._add_headers(message)
        elif not message.get("more_body", False):
            self.whole = True
            if not self._body.complete:
                await self._send({**message, "more_body": True})
                await self._body.drain()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    def _add_headers(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        headers["X-Request-ID"] = self.request_id
        headers.setdefault("Cache-Control", "no-store")
        if not self._body.complete or self._scope["app"].state.leaving.begun:
            # Or the server would go on reading an unwanted body, or close the connection under the next request.
            headers["Connection"] = "close"


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._rate = RateLimit(settings.rate_per_minute)
        self._headers = HEADERS if settings.max_cameras else HEADERS | NO_CAMERA

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] == "websocket":
            await self._open_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        body = self._body(scope["path"], headers, receive)
        answer = Answer(scope, send, body, self._headers)
        try:
            self._admit(scope, headers)
            await self._app(scope, body.receive, answer.send)
        except RefusalError as refusal:
            await refused(refusal)(scope, receive, answer.send)
        except Exception:
            # The details go to the log, never to the client.
            log.exception("Request %s failed.", answer.request_id)
            if answer.status == 0:
                failed = JSONResponse(Refusal(error=Problem.internal()).model_dump(), 500)
                await failed(scope, receive, answer.send)
        finally:
            status = answer.status if answer.whole or answer.status == 0 else gone().status_code
            _record(scope, answer.request_id, status, time.perf_counter() - started)

    async def _open_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a WebSocket on, or refuses it before it is one."""
        started = time.perf_counter()
        status = SWITCHED
        try:
            if scope["path"] != SOCKET_PATH:
                raise RefusalError(404, "no_such_page", "There is no such page.", "See GET /docs.")
            if not self._settings.max_cameras:
                raise RefusalError(404, "no_camera", "This service takes no cameras.", "Send a video file or a link.")
            self._admit(scope, Headers(scope=scope))
            await self._app(scope, receive, send)
        except RefusalError as refusal:
            status = refusal.status_code
            await refused(refusal)(scope, receive, send)
        finally:
            _record(scope, secrets.token_hex(8), status, time.perf_counter() - started)

    def _body(self, path: str, headers: Headers, receive: Receive) -> Body:
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        is_video = is_form and path in VIDEO_PATHS
        max_bytes = self._settings.max_upload_bytes + FORM_OVERHEAD if is_video else SHORT_BODY
        body = Body(receive, max_bytes, self._settings)
        if headers.get("content-length") in (None, "0") and "transfer-encoding" not in headers:
            body.complete = True
        return body

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Raises a RefusalError if the origin, the key or the rate is not allowed."""
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not (scope["type"] == "websocket" and has_ticket(scope, scope["app"].state.running.tickets)):
            check_caller(self._settings, headers)
        client = scope["client"][0] if scope.get("client") else ""
        if client not in self._settings.rate_exempt:
            wait = self._rate.take(client, VIDEO_COST if changes else 1, time.monotonic())
            if wait:
                seconds = int(wait) + 1
                raise RefusalError(
                    429,
                    "rate_limited",
                    f"Too many calls: a client may make {self._settings.rate_per_minute:g} a minute, "
                    f"and one with a video counts as {VIDEO_COST}.",
                    f"Try again in {seconds} s.",
                    {"Retry-After": str(seconds)},
                )


def _record(scope: Scope, request_id: str, status: int, took_s: float) -> None:
    """Counts a request and writes its line in the log."""
    route = getattr(scope.get("route"), "path", "") or "other"
    method = scope.get("method", "WEBSOCKET")
    method = method if method in KNOWN_METHODS else "other"
    REQUEST_SECONDS.labels(method, route, str(status)).observe(took_s)
    line = {"request": request_id, "method": method, "route": route, "status": status}
    log.info(json.dumps(line | {"ms": round(took_s * 1000, 1)}))
