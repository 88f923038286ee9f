"""The service: a champion's ONNX model in-process, and the web application that asks it.

BentoML's own split into an API process and a model process lost 5-18 % of requests under load; one process a worker,
with ONNX Runtime in it, lost none.
"""

from __future__ import annotations

import logging
from pathlib import Path

import bentoml

from actreel.classifier import ActionClassifier
from serving.answers import Served
from serving.api import create_app
from serving.settings import Settings

settings = Settings.from_environment()
app = create_app(settings)


@bentoml.service(
    name="actreel",
    workers=settings.workers,
    # Each call has deadlines of its own, and an event stream lasts as long as its job.
    traffic={"timeout": 24 * 3600},
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
