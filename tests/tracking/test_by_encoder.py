"""The best registered version with each encoder, from a real store."""

from pathlib import Path

import mlflow
import pytest

from actreel.tracking import registry
from actreel.tracking.by_encoder import Gave, best_by_encoder

NAME = "actreel-demo"


@pytest.mark.usefixtures("settings_folder", "quick_stores")
def test_each_encoder_has_its_best_version(tmp_path: Path) -> None:
    assert best_by_encoder(NAME) == {}, "nothing has been registered"
    registry.connect()
    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    for encoder, weights, accuracy in (
        ("small_cnn", "none", "0.75"),
        ("small_cnn", "none", "0.5"),
        ("onnx", "data/encoders/tiny.onnx", "0.9"),
        ("onnx", "data/encoders/tiny.onnx", None),
    ):
        with mlflow.start_run() as run:
            mlflow.log_params({"model.encoder": encoder, "model.weights": weights})
        tags = {} if accuracy is None else {"accuracy": accuracy, "accuracy_low": "0.4", "accuracy_high": "0.95"}
        client.create_model_version(NAME, tmp_path.as_uri(), run.info.run_id, tags=tags)
    client.create_model_version(NAME, tmp_path.as_uri(), "0" * 32, tags=tags | {"accuracy": "1"})
    assert best_by_encoder(NAME) == {
        "small_cnn": Gave(0.75, 0.4, 0.95, f"{NAME}@1"),
        "tiny.onnx": Gave(0.9, 0.4, 0.95, f"{NAME}@3"),
    }
