"""The service: a champion's ONNX model in-process, and the web application that asks it.

BentoML's own split into an API process and a model process lost 5-18 % of requests under load; one process a worker,
with ONNX Runtime in it, lost none.
"""

from __future__ import annotations

import logging
from pathlib import Path

import bentoml
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from starlette.types import Receive, Scope, Send

from actreel.inference.classifier import ActionClassifier
from serving.answers import Served
from serving.api import create_app
from serving.settings import Settings


async def _without_timer(self: TimeoutMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
    await self.app(scope, receive, send)


# BentoML keeps 4 KB of every request until its timeout is over, however early it was answered: at 15 requests a second
# 4 MB a minute. It takes no timeout for none, and an upload may rightly take hours; ours has deadlines at each step.
TimeoutMiddleware.__call__ = _without_timer

settings = Settings.from_environment()
app = create_app(settings)


@bentoml.service(
    name="actreel",
    workers=settings.workers,
    # BentoML's metrics make a series of every path that anyone asks for, and its access log fails on a header that
    # is not UTF-8. The application has its own, at the same address.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(app, path="/")
class Actreel:
    """Names the action in a video."""

    model = bentoml.models.BentoModel("actreel:latest")

    def __init__(self) -> None:
        """Opens the model that the Bento carries, or the newest in BentoML's store when served from source."""
        log_requests()
        context = bentoml.server_context
        # BentoML's words for a service that is served from source.
        from_source = context.bento_version in ("", "not available")
        app.state.served = Served(
            classifier=ActionClassifier.load(Path(self.model.path), settings.threads),
            bento=str(self.model.tag) if from_source else f"{context.bento_name}:{context.bento_version}",
            labels=self.model.info.labels,
            folder=Path(self.model.path),
        )

    def __is_ready__(self) -> bool:
        """For /readyz: whether the warm-up prediction was made."""
        return bool(app.state.ready)


def log_requests() -> None:
    """Our own log lines to stderr, and none of the server's, which hold whole addresses."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for name in ("serving", "actreel"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    logging.getLogger("uvicorn.access").disabled = True
