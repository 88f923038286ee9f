"""Every 4xx in one form: `{"error": {code, message, next_step}}`, whoever refuses the request."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from actreel.base.faults import explain_in_service
from serving.answers import Refusal, RefusalError
from serving.metrics import REFUSALS

log = logging.getLogger(__name__)


def refused(refusal: RefusalError) -> JSONResponse:
    """A refusal as a response; it is counted."""
    REFUSALS.labels(refusal.problem.code).inc()
    return JSONResponse(Refusal(error=refusal.problem).model_dump(), refusal.status_code, headers=refusal.headers)


def bad_request(problems: str) -> RefusalError:
    """The 422 of a request that does not fit its schema."""
    return RefusalError(422, "bad_request", f"The request does not fit its schema: {problems}.", "See GET /docs.")


def summary(errors: Sequence[Any], whole: str = "") -> str:
    """Pydantic's errors in one line; `whole` names a value that is wrong as a whole."""
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or whole}: {error['msg']}" for error in errors)


def handle_refusals(app: FastAPI) -> None:
    """Gives every 4xx of an application, and the 503 of a fault of the machine, the same form.

    Call it after the last route is added.
    """

    @app.exception_handler(RefusalError)
    async def refuse(request: Request, error: RefusalError) -> JSONResponse:
        return refused(error)

    @app.exception_handler(RequestValidationError)
    async def refuse_form(request: Request, error: RequestValidationError) -> JSONResponse:
        return refused(bad_request(summary(error.errors())))

    @app.exception_handler(OSError)
    @app.exception_handler(sqlite3.Error)
    @app.exception_handler(MemoryError)
    async def blame_the_machine(request: Request, error: Exception) -> JSONResponse:
        if (message := explain_in_service(error)) is None:
            raise error
        log.error(f"{request.method} {request.url.path}: {message}")
        return refused(
            RefusalError(
                503,
                "machine_fault",
                "The service's machine has a fault: its disk or memory is full, or a file of it is locked or damaged.",
                "Try again later. The operator finds the fault in the service's log.",
                {"Retry-After": "10"},
            )
        )

    @app.exception_handler(HTTPException)
    async def refuse_other(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return refused(RefusalError(404, "no_such_page", "There is no such page.", "See GET /docs."))
        headers = dict(error.headers) if error.headers else None
        return refused(RefusalError(error.status_code, "bad_request", f"{error.detail}.", "See GET /docs.", headers))

    app.router.routes.append(_NoSuchPage())


class _NoSuchPage(BaseRoute):
    """Matches what no route does; otherwise the server around this application would answer with pages of its own.

    It matches in part only: a route that has the path, but not the method, comes first and answers 405.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Any request."""
        return Match.PARTIAL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 404."""
        raise HTTPException(404)
