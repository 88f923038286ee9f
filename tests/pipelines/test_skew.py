"""No training-serving skew: Keras, ONNX, MLflow, the command line and the served Bento agree on the same clip."""

import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest

from actreel.inference.classifier import ActionClassifier
from actreel.quiet_keras import keras
from actreel.video.clips import load_clip
from tests.pipelines.conftest import Project
from tests.pipelines.test_package import Served, served

CLIPS = ("Brighten/v_Brighten_g02_c01.avi", "Darken/v_Darken_g05_c02.avi")


@pytest.fixture(scope="module")
def service(trained: tuple[Project, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves the trained project's Bento."""
    project, _ = trained
    folder = tmp_path_factory.mktemp("state")
    bento = ["bentoml", "serve", str(project.root / "artifacts/bento")]
    with served(bento, project.root, {**project.env, "ACTREEL_STATE_DIR": str(folder)}, folder / "log") as service:
        yield service


@pytest.mark.parametrize("name", CLIPS)
def test_every_way_to_predict_gives_the_same_probabilities(
    trained: tuple[Project, str], service: Served, fading_dataset: Path, name: str
) -> None:
    project, _ = trained
    path = fading_dataset / name
    classifier = ActionClassifier.load(project.root / "artifacts/model")
    model = keras.models.load_model(project.root / "artifacts/model/model.keras")
    expected = np.asarray(model(load_clip(path, classifier.card.clip)[None]))[0]

    np.testing.assert_allclose(
        classifier.score(load_clip(path, classifier.card.clip)[None]).probabilities[0], expected, atol=1e-4
    )
    answers = [json.loads(project.answer("actreel", "predict", str(path), "--json"))]
    with service.client() as client:
        answers.append(client.post("/predict_file", files={"video": path.read_bytes()}).json())
    for answer in answers:
        for action in answer["top"]:
            index = classifier.card.labels.index(action["label"])
            assert action["confidence"] == pytest.approx(float(expected[index]), abs=1e-4)

    mlflow.set_tracking_uri(f"sqlite:///{project.root / 'mlflow.db'}")
    champion = mlflow.pyfunc.load_model("models:/actreel-fading@champion")
    (answer,) = champion.predict([str(path)])
    assert answer.label == answers[0]["label"]
    assert answer.confidence == pytest.approx(float(expected.max()), abs=1e-4)
