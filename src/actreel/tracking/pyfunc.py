"""The classifier as MLflow loads and serves it.

A logged model refers to `PathClassifier` by the name of this module, so importing it must need nothing but
`REQUIREMENTS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from actreel.inference.classifier import ActionClassifier

MODEL_FOLDER = "model"
"""The artifact that holds the model folder."""

REQUIREMENTS = ("av", "mlflow", "numpy", "onnxruntime", "opencv-python-headless", "pydantic", "pyyaml")


class NamedAction(BaseModel):
    """The most likely action of a video, as `actreel.inference.classifier.Answer` has it."""

    label: str
    confidence: float
    known: bool


class PathClassifier(PythonModel):  # type: ignore[misc]
    """The classifier as an MLflow model: `predict(["a.avi", "b.mp4"])` takes paths of video files."""

    def load_context(self, context: PythonModelContext) -> None:
        """Opens the model folder."""
        self._classifier = ActionClassifier.load(Path(context.artifacts[MODEL_FOLDER]))

    def predict(
        self, context: PythonModelContext, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[NamedAction]:
        """Returns one `NamedAction` for each video."""
        answers = []
        for path in model_input:
            answer = self._classifier.answer(self._classifier.recognise(Path(path)))
            answers.append(NamedAction(label=answer.label, confidence=answer.confidence, known=answer.known))
        return answers
