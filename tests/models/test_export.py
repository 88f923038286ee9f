"""Whole models and their two parts as ONNX files."""

from pathlib import Path

import numpy as np
import pytest

from actreel.config import ModelParams
from actreel.inference.classifier import ActionClassifier, ClassifierCard, Provenance
from actreel.models import (
    ENCODER,
    build_encoder,
    build_head,
    build_model,
    embedding_of,
    export_onnx,
    export_parts,
    join,
    with_distance,
)
from actreel.training.rejection import EmbeddingStatistics
from tests.models.networks import CLIPS, PARITY, SPEC, params_of


@pytest.mark.parametrize(
    "params",
    [params_of("small_cnn", "lstm"), params_of("efficientnet_lite0", "lstm", "difference", "imagenet")],
    ids=["trained", "frozen"],
)
def test_parts_give_what_the_whole_gives(params: ModelParams, tmp_path: Path) -> None:
    # The small encoder stands in for the frozen one, which takes 7 s to export: only the head differs.
    encoder = build_encoder(params_of("small_cnn", "lstm"), SPEC)
    model = join(params, SPEC, encoder, build_head(params, (SPEC.num_frames, *encoder.output_shape[1:]), 4))
    embeddings = np.asarray(embedding_of(model)(CLIPS))
    size = embeddings.shape[1]
    centres = embeddings[:2] + np.float32(0.1)
    statistics = EmbeddingStatistics(np.eye(size, dtype=np.float32), np.zeros(size, dtype=np.float32), centres)
    measuring = with_distance(model, statistics.whitening, statistics.offset, statistics.from_centres)
    export_onnx(measuring, tmp_path / "model.onnx")
    export_parts(measuring, tmp_path / "encoder.onnx", tmp_path / "head.onnx")
    provenance = Provenance(dataset="x", data_version="x", run_id="x", git_commit="x", trained_at="x")
    ClassifierCard(labels=tuple("abcd"), clip=SPEC, provenance=provenance).save(tmp_path)
    whole = ActionClassifier.load(tmp_path, whole=True).score(CLIPS)
    in_parts = ActionClassifier.load(tmp_path)
    assert in_parts.encode(CLIPS[0]).shape == (SPEC.num_frames, model.get_layer(ENCODER).output.shape[1])
    scores = in_parts.score(CLIPS)
    np.testing.assert_allclose(scores.probabilities, model(CLIPS), atol=PARITY)
    np.testing.assert_allclose(scores.probabilities, whole.probabilities, atol=1e-5)
    np.testing.assert_allclose(scores.distances, whole.distances, rtol=1e-4)
    assert np.ptp(whole.distances) > 0.01


@pytest.mark.parametrize(
    ("encoder", "head", "motion"), [("small_cnn", "lstm", "difference"), ("pixels", "convlstm", "none")]
)
def test_a_network_that_does_not_see_frames_one_by_one_has_no_parts(
    encoder: str, head: str, motion: str, tmp_path: Path
) -> None:
    files = tmp_path / "encoder.onnx", tmp_path / "head.onnx"
    for file in files:
        file.write_bytes(b"of the model before")
    export_parts(build_model(params_of(encoder, head, motion), SPEC, 4), *files)
    assert list(tmp_path.iterdir()) == []
