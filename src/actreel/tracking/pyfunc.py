"""The classifier as MLflow loads and serves it.

A logged model refers to `PathClassifier` by the name of this module, so importing it must need nothing but
`REQUIREMENTS`.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from actreel.errors import VideoError
from actreel.inference.classifier import ActionClassifier
from actreel.video.webm import moving_light

MODEL_FOLDER = "model"
"""The artifact that holds the model folder."""

REQUIREMENTS = ("av", "mlflow", "numpy", "onnxruntime", "opencv-python-headless", "pydantic", "pyyaml")


class NamedAction(BaseModel):
    """The most likely action of a video, as `actreel.inference.classifier.Answer` has it."""

    label: str
    confidence: float
    known: bool


class PathClassifier(PythonModel):  # type: ignore[misc]
    """The classifier as an MLflow model: `predict(["a.avi", "b.mp4"])` takes paths of video files.

    A path is one of the machine that predicts, so `mlflow models serve` takes videos as data URIs too.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Opens the model folder."""
        self._classifier = ActionClassifier.load(Path(context.artifacts[MODEL_FOLDER]))

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: MLflow stores this object after it has predicted the input example, and a session is no file."""
        return {}

    def predict(
        self, context: PythonModelContext, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[NamedAction]:
        """Returns one `NamedAction` for each video.

        Args:
            context: Not used.
            model_input: Paths of video files, or videos as data URIs: `data:video/mp4;base64,...`.
            params: Not used.

        Raises:
            VideoError: A video cannot be read.
        """
        answers = []
        for source in model_input:
            with video_file(source) as path:
                answer = self._classifier.answer(self._classifier.recognise(path))
            answers.append(NamedAction(label=answer.label, confidence=answer.confidence, known=answer.known))
        return answers


@contextmanager
def video_file(source: str) -> Iterator[Path]:
    """The file of a path or, while the context is open, of a data URI.

    Raises:
        VideoError: A data URI has no base64 content.
    """
    if not source.startswith("data:"):
        yield Path(source)
        return
    head, _, content = source.partition(",")
    try:
        if not head.endswith(";base64"):
            raise binascii.Error
        video = base64.b64decode(content, validate=True)
    except binascii.Error:
        raise VideoError(
            f"A video in the request must be as 'data:video/mp4;base64,...'. Received: '{source[:40]}...'"
        ) from None
    with tempfile.NamedTemporaryFile(prefix="actreel-") as file:
        file.write(video)
        file.flush()
        yield Path(file.name)


def example_video() -> str:
    """A video as a data URI: an example that is at hand wherever the model is."""
    return f"data:video/webm;base64,{base64.b64encode(moving_light()).decode('ascii')}"
