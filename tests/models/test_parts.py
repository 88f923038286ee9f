"""What is cut out of a network: embedding, logits, distance and motion, from heads and from whole models."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from actreel.config import FRAME_HEADS, PROBES
from actreel.models import build_head, build_model, embedding_of, export_onnx, logits_of, with_distance
from actreel.quiet_keras import keras
from actreel.training.rejection import EmbeddingStatistics
from tests.models.networks import CLIPS, FEATURES, PARITY, SPEC, params_of


def test_the_distance_is_exported_beside_the_same_probabilities(tmp_path: Path) -> None:
    model = build_model(params_of("small_cnn", "attention_lstm"), SPEC, 4)
    embeddings = np.asarray(embedding_of(model)(CLIPS))
    rng = np.random.default_rng(0)
    whitening = rng.normal(0, 1, (embeddings.shape[1],) * 2).astype(np.float32)
    offset, *centres = rng.normal(0, 1, (5, embeddings.shape[1])).astype(np.float32)
    from_centres = EmbeddingStatistics(whitening, offset, np.stack(centres)).from_centres
    export_onnx(with_distance(model, whitening, offset, from_centres), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    probabilities, distances = session.run(None, {"clip": CLIPS})
    np.testing.assert_allclose(probabilities, model(CLIPS), atol=PARITY)
    apart = np.linalg.norm((embeddings @ whitening + offset)[:, np.newaxis] - centres, axis=2)
    np.testing.assert_allclose(distances, apart.min(axis=1), rtol=1e-4)


@pytest.mark.parametrize("name", [*FRAME_HEADS, *PROBES])
def test_a_head_from_a_file_gives_logits_embedding_and_distance(name: str, tmp_path: Path) -> None:
    # As in two processes: Keras counts names from the start in each, and they must not clash with those in the file.
    # Memory stays as it is: to collect garbage takes a second each time.
    keras.utils.clear_session(free_memory=False)
    build_head(params_of("efficientnet_lite0", name, weights="imagenet"), (SPEC.num_frames, 24), 4).save(
        tmp_path / "head.keras"
    )
    keras.utils.clear_session(free_memory=False)
    head = keras.models.load_model(tmp_path / "head.keras")
    logits = np.asarray(logits_of(head)(FEATURES))
    expected = np.asarray(head(FEATURES))
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), expected, atol=1e-5)
    width = np.asarray(embedding_of(head)(FEATURES)).shape[1]
    whitening, centres = np.eye(width, dtype=np.float32), np.zeros((4, width), dtype=np.float32)
    from_centres = EmbeddingStatistics(whitening, centres[0], centres).from_centres
    same, distances = with_distance(head, whitening, centres[0], from_centres)(FEATURES)
    np.testing.assert_allclose(same, expected, atol=1e-6)
    np.testing.assert_allclose(distances, np.linalg.norm(embedding_of(head)(FEATURES), axis=1), rtol=1e-3)


def test_every_head_has_an_embedding() -> None:
    for head in FRAME_HEADS:
        embeddings = np.asarray(
            embedding_of(build_head(params_of("efficientnet_lite0", head), (SPEC.num_frames, 24), 4))(FEATURES)
        )
        np.testing.assert_allclose(embeddings[:, -24:], FEATURES.mean(axis=1), rtol=1e-4, atol=1e-6)


def test_motion_is_the_change_since_the_frame_before() -> None:
    model = build_head(params_of("efficientnet_lite0", "lstm", "difference", "imagenet"), (SPEC.num_frames, 2), 3)
    features = np.arange(10, dtype=np.float32).reshape(1, 5, 2) ** 2
    shown = keras.Model(model.input, model.get_layer("lstm").input)(features)[0]
    scale = np.sqrt(1 + 1e-3)  # the batch norm's epsilon, with variance 1
    expected = np.abs(np.diff(features[0], axis=0, prepend=features[0, :1]))
    np.testing.assert_allclose(shown[:, 2:] * scale, expected, rtol=1e-5)
    np.testing.assert_allclose(shown[:, :2] * scale, features[0], rtol=1e-5)
