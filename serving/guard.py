"""What every request passes before it is believed: key, origin, rate, size, speed; and what every answer carries."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import OrderedDict
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.answers import Problem, Refusal, RefusalError
from serving.metrics import REFUSALS, REQUEST_SECONDS
from serving.settings import Settings
from serving.uploads import too_large

log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
KNOWN_METHODS = SAFE_METHODS | {"POST", "DELETE", "PUT", "PATCH"}
VIDEO_PATHS = frozenset({"/predict_file", "/jobs"})
"""Where a body goes to disk as it comes; any other is held in memory, and so must be short."""

SHORT_BODY = FORM_OVERHEAD = 64 * 2**10
VIDEO_COST = 10
"""Calls that one call with a video counts as."""

# A refusal is of no use if the client never reads it because it was still sending when the connection was reset.
DRAIN_BYTES = 8 * 2**20
DRAIN_S = 1.5

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class RateLimit:
    """A bucket of calls a client, refilled steadily; holds at most half a minute's worth."""

    def __init__(self, per_minute: float, max_clients: int = 10_000) -> None:
        self._per_s = per_minute / 60
        self._full = max(per_minute / 2, float(VIDEO_COST))
        self._max_clients = max_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, cost: float, now: float) -> float:
        """Takes calls from a client's bucket.

        Returns:
            0, or the seconds until there would be enough; then nothing was taken.
        """
        left, then = self._buckets.pop(client, (self._full, now))
        left = min(self._full, left + (now - then) * self._per_s)
        wait = max(0.0, (cost - left) / self._per_s)
        self._buckets[client] = (left if wait else left - cost, now)
        if len(self._buckets) > self._max_clients:
            self._buckets.popitem(last=False)
        return wait


class Body:
    """A request's body as it comes in: counted, and not waited for endlessly."""

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
            RefusalError: The body is too large or its sender too slow.
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
                f"a body must come in at {self._settings.min_bytes_per_s / 1024:g} KB/s. Received: less.",
                "Try again on a faster connection, or send a smaller video.",
            ) from error
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self._size > self._max_bytes:
                raise too_large("a body", self._max_bytes)
        return message

    async def drain(self) -> None:
        """Takes in what a refused client is still sending, within reason."""
        try:
            async with asyncio.timeout(DRAIN_S):
                size = 0
                while not self.complete and size < DRAIN_BYTES:
                    message = await self._receive()
                    size += len(message.get("body", b""))
                    self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        except TimeoutError:
            return


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._rate = RateLimit(settings.rate_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers it itself."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = secrets.token_hex(8)
        headers = Headers(scope=scope)
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        streams = is_form and scope["path"] in VIDEO_PATHS
        body = Body(receive, self._settings.max_upload_bytes + FORM_OVERHEAD if streams else SHORT_BODY, self._settings)
        status = 0
        if headers.get("content-length") in (None, "0") and "transfer-encoding" not in headers:
            body.complete = True

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                kept = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    kept.setdefault(name, value)
                kept["X-Request-ID"] = request_id
                kept.setdefault("Cache-Control", "no-store")
                if not body.complete or scope["app"].state.leaving.begun:
                    # Or the server would go on reading what nobody wants, or close it under the next request.
                    kept["Connection"] = "close"
            elif not message.get("more_body", False) and not body.complete:
                await send({**message, "more_body": True})
                await body.drain()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            self._admit(scope, headers)
            await self._app(scope, body.receive, answer)
        except RefusalError as refusal:
            await refused(refusal)(scope, receive, answer)
        except Exception:
            # The client learns nothing of our insides; the log does.
            log.exception("request %s failed", request_id)
            if status == 0:
                problem = Problem(
                    code="internal", message="something went wrong on our side.", next_step="Try again later."
                )
                failed = JSONResponse(Refusal(error=problem).model_dump(), 500)
                await failed(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in KNOWN_METHODS else "other"
            took = time.perf_counter() - started
            REQUEST_SECONDS.labels(method, route, str(status)).observe(took)
            log.info(
                json.dumps({"request": request_id, "method": method, "route": route, "status": status,
                            "ms": round(took * 1000, 1)})
            )  # fmt: skip

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Raises the refusal of a request that goes no further."""
        if scope["method"] not in SAFE_METHODS:
            _check_origin(headers)
            check_key(self._settings, headers)
        client = scope["client"][0] if scope.get("client") else ""
        if client not in self._settings.rate_exempt:
            wait = self._rate.take(client, 1 if scope["method"] in SAFE_METHODS else VIDEO_COST, time.monotonic())
            if wait:
                seconds = int(wait) + 1
                raise RefusalError(
                    429,
                    "rate_limited",
                    f"a client may make {self._settings.rate_per_minute:g} calls a minute, "
                    f"and one with a video counts as {VIDEO_COST}. Received: more.",
                    f"Ask again in {seconds} s.",
                    {"Retry-After": str(seconds)},
                )


def _check_origin(headers: Headers) -> None:
    """Browsers say where a request comes from; other pages may not make a visitor's browser act here."""
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    foreign = site not in (None, "same-origin", "none")
    if origin is not None and not foreign:
        try:
            foreign = urlsplit(origin).netloc != headers.get("host", "")
        except ValueError:
            foreign = True
    if foreign:
        raise RefusalError(
            403,
            "cross_origin",
            "calls that change something must come from this service's own page or from no page.",
            "Open the service's own page and ask there.",
        )


def check_key(settings: Settings, headers: Headers) -> None:
    """Refuses who does not have the key, where the operator wants one.

    Raises:
        RefusalError: 401.
    """
    if settings.api_key is None:
        return
    given = headers.get("x-api-key", "").encode()
    if not secrets.compare_digest(given, settings.api_key.get_secret_value().encode()):
        raise RefusalError(
            401,
            "no_key",
            "this service wants a key.",
            "Ask its operator for the key; calls carry it in the header X-API-Key.",
        )


def refused(refusal: RefusalError) -> JSONResponse:
    """A refusal as an answer."""
    REFUSALS.labels(refusal.problem.code).inc()
    return JSONResponse(Refusal(error=refusal.problem).model_dump(), refusal.status_code, headers=refusal.headers)
