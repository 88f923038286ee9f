"""The BentoML service: the web application, with the champion's ONNX model in the same process.

BentoML's own split into an API process and a model process lost 5-18 % of requests under load; one process a worker,
with ONNX Runtime in it, lost none.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

from actreel.base.places import BENTO, MODEL_TAG
from actreel.errors import ActreelError, ModelError
from actreel.inference.classifier import ActionClassifier
from serving.answers import Served
from serving.api import create_app
from serving.bentoml_internals import limit_websockets, turn_off_request_timer
from serving.camera.messages import longest_message
from serving.routes.schema import SCHEMA_PATH
from serving.settings import Settings


def packaged_model() -> str:
    """The exact tag of the model to serve: the Bento's own or, from source, that of the project's `artifacts/bento`.

    BentoML's store is shared by all projects of a user, so the newest model there may be another project's.

    Raises:
        ModelError: From source: nothing is packaged, or the model is no longer in BentoML's store.
    """
    top = Path(__file__).parents[1]
    own = top / MODEL_TAG
    if not own.is_file() and (top.parent / "bento.yaml").is_file():
        own = top / BENTO / "src" / MODEL_TAG  # this is a Bento that plain `bentoml build` made
    if own.is_file():
        return own.read_text(encoding="utf-8").strip()
    packaged = BENTO / "src" / MODEL_TAG
    if not packaged.is_file():
        raise ModelError(f"There is no Bento in '{BENTO.absolute()}'. Build it with: make repro")
    tag = packaged.read_text(encoding="utf-8").strip()
    try:
        bentoml.models.get(tag)
    except bentoml.exceptions.NotFound as error:
        raise ModelError(
            f"BentoML's store does not hold the model {tag} of '{BENTO}'. Serve the Bento itself: make serve"
        ) from error
    return tag


turn_off_request_timer()
try:
    model_tag = packaged_model()
    settings = Settings.from_environment()
except ActreelError as error:
    sys.exit(f"error: {error}")
limit_websockets(longest_message(settings))
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

    model = bentoml.models.BentoModel(model_tag)

    def __init__(self) -> None:
        """Loads the model that was packaged."""
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


class OurSchema:
    """Hands `/schema.json` to the application. BentoML has a route of that path, before whatever is mounted."""

    def __init__(self, others: ASGIApp) -> None:
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request: our application that one path, BentoML every other."""
        ours = scope["type"] == "http" and scope["path"] == SCHEMA_PATH
        await (app if ours else self._others)(scope, receive, send)


Actreel.add_asgi_middleware(OurSchema)  # type: ignore[attr-defined]  # the decorator makes it a Service


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
