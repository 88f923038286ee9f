"""The service: a champion's ONNX model in-process, and the web application that asks it.

BentoML's own split into an API process and a model process lost 5-18 % of requests under load; one process a worker,
with ONNX Runtime on one thread in it, lost none.
"""

from __future__ import annotations

from pathlib import Path

import bentoml

from actreel.classifier import ActionClassifier
from serving.api import create_app

app = create_app()


@bentoml.service(name="actreel", traffic={"timeout": 60})
@bentoml.asgi_app(app, path="/")
class Actreel:
    """Names the action in a video."""

    model = bentoml.models.BentoModel("actreel:latest")

    def __init__(self) -> None:
        """Opens the model that the Bento carries, or the newest in BentoML's store when served from source."""
        app.state.classifier = ActionClassifier.load(Path(self.model.path), threads=1)
        app.state.bento = str(self.model.tag)
