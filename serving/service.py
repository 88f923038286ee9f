"""The BentoML service: the web application, with the champion's ONNX model in the same process.

BentoML's own split into an API process and a model process lost 5-18 % of requests under load; one process a worker,
with ONNX Runtime in it, lost none.
"""

from __future__ import annotations

import logging
from pathlib import Path

import bentoml

from actreel.inference.classifier import ActionClassifier
from serving.answers import Served
from serving.api import create_app
from serving.bentoml_internals import turn_off_request_timer
from serving.settings import Settings

turn_off_request_timer()
settings = Settings.from_environment()
app = create_app(settings)


@bentoml.service(
    name="actreel",
    workers=settings.workers,
    # BentoML's metrics add a time series for each path that is requested, and its access log fails on a header that is
    # not UTF-8. The application has metrics and a log of its own.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(app, path="/")
class Actreel:
    """Recognises the action in a video."""

    model = bentoml.models.BentoModel("actreel:latest")

    def __init__(self) -> None:
        """Loads the Bento's model, or the newest in BentoML's store when served from source."""
        log_requests()
        bento = Actreel.bento  # type: ignore[attr-defined]  # the decorator makes it a Service; None if from source
        app.state.served = Served(
            classifier=ActionClassifier.load(Path(self.model.path), settings.threads),
            bento=str(bento.tag if bento is not None else self.model.tag),
            labels=self.model.info.labels,
            folder=Path(self.model.path),
        )

    def __is_ready__(self) -> bool:
        """For /readyz: whether the warm-up prediction is done."""
        return bool(app.state.ready)


def log_requests() -> None:
    """Writes our own log to stderr, and turns off the server's, which has whole URLs in it."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for name in ("serving", "actreel"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    logging.getLogger("uvicorn.access").disabled = True
